"""The writers: everything that a practice enters in its books, except payments by card.

An input is a frozen dataclass that refuses wrong values. A maker is a pure function from an
account and an input to rows, by the rules of `billing/ledger/`. `commands` runs makers in a
transaction; the demo runs them in memory and inserts the rows in bulk.
"""
