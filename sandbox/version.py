"""The one release of Stripe's API that the double speaks; a test holds it to the specification."""

VERSION = "2026-05-27.dahlia"
