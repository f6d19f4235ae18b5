"""Imports: a practice's records from files of another system, entered completely or not at all.

Four steps follow each other. A source reads records (`folders`, `csv_records`), `columns` checks
each value, `staging` holds the records in a private database for the checks across files, and
`importing` enters them with the writers of `billing/entry/`.
"""
