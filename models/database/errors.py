"""Errors of the database that callers tell apart."""


class StatementTimeout(Exception):
    """The database took longer than a statement may."""


class DatabaseBusy(Exception):
    """A lock, a connection or an answer of the database that was not had in time.

    The transaction is rolled back, and the same may be tried again.
    """


class StatementTooDeep(Exception):
    """A statement is nested more deeply than the database can read."""
