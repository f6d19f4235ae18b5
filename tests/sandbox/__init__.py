"""Tests of the double of Stripe, and of what it is held to."""
