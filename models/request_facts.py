"""Facts about the request that the current task answers: for its line in the log, and its errors.

A task that a request starts inherits the facts, so its log lines have the request's id too.
"""

from contextvars import ContextVar


class RequestFacts:
    """The id of a request, and what is known of it so far. All texts are this project's own words:
    no text of a document, of variables or of an address.
    """

    __slots__ = ("code", "id", "operation", "statement_s", "viewer")

    def __init__(self, id_: str) -> None:
        self.id = id_
        # The kind of operation and its root fields, such as "query client".
        self.operation: str | None = None
        # The kind of viewer.
        self.viewer: str | None = None
        # The code of the error that the whole request was refused with.
        self.code: str | None = None
        # The time of planned reads in the database.
        self.statement_s = 0.0


CURRENT: ContextVar[RequestFacts | None] = ContextVar("request_facts", default=None)


def request_id() -> str | None:
    """Return the id of the request that the current task belongs to, if it belongs to one."""
    facts = CURRENT.get()
    return None if facts is None else facts.id


def note_viewer(kind: str) -> None:
    if facts := CURRENT.get():
        facts.viewer = kind


def note_operation(label: str) -> None:
    if facts := CURRENT.get():
        facts.operation = label


def note_code(code: str) -> None:
    if facts := CURRENT.get():
        facts.code = code


def note_statement(seconds: float) -> None:
    if facts := CURRENT.get():
        facts.statement_s += seconds
