"""Cards on file: the same card is kept once, and a client who has cards has exactly one default.

`filing` has the rules, and `changing` what a client does to them. `preparing` gives a page's form a
SetupIntent, `keeping` brings its card to the file, `following` does what is done to a card at
Stripe, `comparison` finds what no event told, and `forgetting` has Stripe detach what is on file no
more. Each card, form and customer belongs to one Stripe account, and is asked for there.
"""
