"""Invoices, statements, superbills and receipts as PDF.

`reading` takes a document's rows to facts: all that stands on the paper, worded for the practice's
locale. `typesetting` hands them, as data, to the template of that kind in `billing/templates/`.
`press` does both beside the event loop, and keeps what was given out. `links` are the addresses
that documents are fetched from.
"""
