"""The version of Stripe that this project uses: one release train for all of its parts.

The SDK, the API version, Stripe.js and the specification for tests belong to one train.
docs/decisions/0016 describes how to move to the next one.
"""

API_VERSION = "2026-05-27.dahlia"
TRAIN = API_VERSION.partition(".")[2]
STRIPE_JS = f"https://js.stripe.com/{TRAIN}/stripe.js"
