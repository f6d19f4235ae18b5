"""Who somebody is: tokens, and signing in by e-mail; no GraphQL, no HTTP."""
