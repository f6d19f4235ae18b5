"""Cards on file: the same card is kept once, and a client who has cards has exactly one default.

`filing` has the rules of the file. `changing` has the client's commands: another default, and
removal. `preparing` gives a page's form its SetupIntent, and `keeping` puts its card on file.
`following` writes changes at Stripe, `forgetting` has Stripe detach cards, and `comparison`
compares the file with Stripe once a day. Each card, form and customer belongs to one account of
Stripe's, and Stripe is asked there.
"""
