"""Cards on file: the same card is kept once, and a client who has cards has exactly one default.

`filing` has the rules, and `changing` what a client does to them. `keeping` brings a card from a
page's form to the file, `following` does what is done to it at Stripe, and `forgetting` has Stripe
drop what is on file no more.
"""
