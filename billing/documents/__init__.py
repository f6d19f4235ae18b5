"""Invoices, statements, superbills and receipts as PDF.

`facts` turns a document's rows into facts: all texts of the page, in the practice's locale.
`typesetting` passes them as data to the template of the kind in `billing/documents/templates/`.
`printer` runs both outside the event loop, and stores each document that was given out. `links`
makes the addresses from which documents are downloaded.
"""
