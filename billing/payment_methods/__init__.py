"""Cards on file. The same card is kept once, and a client with cards has exactly one default.

`store` holds the rules of the file. `commands` holds the client's commands: choose another default,
and remove a card. `setup_start` creates the SetupIntent for a page's form, and `setup_finish` puts
the form's card on file. `sync` applies changes made at Stripe, `detach` has Stripe detach cards,
and `card_comparison` compares the file with Stripe once a day. Each card, form and customer belongs
to one Stripe account, and requests about it go to that account.
"""
