"""The only version of Stripe's API that the double supports, checked against the specification."""

VERSION = "2026-05-27.dahlia"
