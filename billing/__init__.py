"""The practice's billing rules. They know neither GraphQL nor HTTP. Only `gateway` knows Stripe."""
