"""Stripe's own specification, and the comparison of the double with it.

README.md in this folder says what it proves, and how to read a failure.
"""
