"""Cards on file. The same card is kept once, and a client with cards has exactly one default.

`filing` holds the rules of the file. `changing` holds the client's commands: choose another
default, and remove a card. `preparing` creates the SetupIntent for a page's form, and `keeping`
puts the form's card on file. `following` applies changes made at Stripe, `forgetting` has Stripe
detach cards, and `comparison` compares the file with Stripe once a day. Each card, form and
customer belongs to one Stripe account, and requests about it go to that account.
"""
