"""The audit log of access to a client's data."""

import datetime as dt

import strawberry

import models
from graph.fields import column
from models import AccessAction, ActorKind
from resolvers.field_facts import BILLING, PHI, needs


@needs(BILLING)
@strawberry.type(
    description="An access to a client's data by one operation, or at the practice's command line:"
    " a read, a change, a refusal or a sign-in. Entries cannot be changed."
)
class AccessLogEntry:
    at: dt.datetime = column(models.AccessEntry.at, "The time of the access.")
    kind: ActorKind = column(models.AccessEntry.kind, "The kind of viewer, or the operator.")
    name: str = column(
        models.AccessEntry.name,
        "The name of the person, dashboard or operator at that time.",
        scopes=PHI,
    )
    action: AccessAction = column(models.AccessEntry.action, "The kind of access.")
    operation: str | None = column(
        models.AccessEntry.operation,
        "The name of the operation, or the command; null if the operation had no name.",
        scopes=BILLING,
    )
    fields: list[str] = column(
        models.AccessEntry.fields,
        "All personal fields that the operation selected, for example `Client.balance`.",
        scopes=BILLING,
    )
