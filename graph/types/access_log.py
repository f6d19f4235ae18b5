"""The audit log of access to a client's data."""

import datetime as dt

import strawberry

from models import AccessAction, ActorKind
from planner.sources import Value, column, field
from planner.sql_text import rfc3339


@strawberry.type(
    description="An access to a client's data by one operation, or at the practice's command line:"
    " a read, a change, a refusal or a sign-in. Entries cannot be changed."
)
class AccessLogEntry:
    at: dt.datetime = field(
        Value(lambda entry: rfc3339(entry.c.at)), description="The time of the access."
    )
    kind: ActorKind = column("kind", "The kind of viewer, or the operator.")
    name: str = column("name", "The name of the person, dashboard or operator at that time.")
    action: AccessAction = column("action", "The kind of access.")
    operation: str | None = column(
        "operation", "The name of the operation, or the command; null if the operation had no name."
    )
    fields: list[str] = column(
        "fields", "All personal fields that the operation selected, for example `Client.balance`."
    )
