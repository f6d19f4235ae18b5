"""Stripe's release that this project speaks: one train for all of its parts.

The SDK, the API version, the release of Stripe.js and the specification that tests judge by belong
to one train. docs/decisions/0016 says how to move to the next one.
"""

API_VERSION = "2026-05-27.dahlia"
TRAIN = API_VERSION.partition(".")[2]
STRIPE_JS = f"https://js.stripe.com/{TRAIN}/stripe.js"
