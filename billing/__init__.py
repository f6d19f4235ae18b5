"""The practice's money rules. No GraphQL, no HTTP; the only place that will know Stripe."""
