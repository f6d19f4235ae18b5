"""The audit log of access to a client's data."""

import datetime as dt

import strawberry

from models import AccessAction, ActorKind
from resolvers.planner.sources import Value, column, field
from resolvers.planner.texts import instant


@strawberry.type(
    description="Somebody read a client's data, changed it or signed in, by one operation or at the"
    " practice's command line. Nobody can change what is recorded."
)
class AccessLogEntry:
    at: dt.datetime = field(Value(lambda entry: instant(entry.c.at)), description="When.")
    kind: ActorKind = column("kind", "What kind of viewer it was, or the operator.")
    name: str = column(
        "name", "The name of the person, dashboard or operator, as called at that time."
    )
    action: AccessAction = column("action", "What was done.")
    operation: str | None = column(
        "operation", "The operation's name, or the command; null where the operation had none."
    )
    fields: list[str] = column(
        "fields", "All the personal fields that the operation asked for, as `Client.balance`."
    )
