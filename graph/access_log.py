"""The record of access to a client's data."""

import datetime as dt

import strawberry

from models import ViewerKind
from resolvers.planner.sources import Value, column, field
from resolvers.planner.texts import instant


@strawberry.type(
    description="Somebody looked at a client's data, or changed it, by one operation. Nobody can"
    " change what is recorded."
)
class AccessLogEntry:
    at: dt.datetime = field(Value(lambda entry: instant(entry.c.at)), description="When.")
    kind: ViewerKind = column("kind", "What kind of viewer it was.")
    name: str = column("name", "Who it was: the person, or the dashboard, as called then.")
    operation: str | None = column("operation", "The operation's name; null where it had none.")
    fields: list[str] = column("fields", "What it asked for, as `Client.balance`; 60 at most.")
    is_change: bool = column("is_change", "Whether something was changed.")
