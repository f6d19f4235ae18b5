"""The viewer, the practice, and its therapists."""

from typing import Any

from sqlalchemy import ColumnElement, Text, null
from sqlalchemy import cast as sql_cast

from models import Client, Clinician, Contact, Practice, Token, ViewerKind
from models.literals import constant
from models.row import Instant
from planner.deferred import Deferred, bind
from planner.sources import Rows
from resolvers.visibility import Sight

WHO = {ViewerKind.CLIENT: Client, ViewerKind.CONTACT: Contact, ViewerKind.DASHBOARD: Token}


class ViewerRow:
    """The viewer, read from the row of the client, the contact or the dashboard's token."""

    def __init__(self, table: Any, sight: Sight) -> None:
        self.name = table.c.name
        self.kind = constant(sight.kind)
        self.email: ColumnElement[Any] = (
            table.c.email if "email" in table.c else sql_cast(null(), Text)
        )
        self.scopes = bind(Deferred(scopes), Text())
        self.expires_at = bind(Deferred(lambda context: context.viewer.expires_at), Instant())


def viewer(_: Any, sight: Sight) -> Rows:
    table = sight(WHO[sight.kind])
    own = sight.token_id if sight.kind is ViewerKind.DASHBOARD else sight.subject_id
    return Rows(table, [table.c.id == own], row=ViewerRow(table, sight))


def scopes(asked: Any) -> str:
    """Return the scopes as a JSON list of names, none of which needs escaping."""
    return "[" + ",".join(f'"{scope}"' for scope in sorted(asked.viewer.scopes)) + "]"


def practice(_: Any, sight: Sight) -> Rows:
    return practices(sight)


def practices(sight: Sight, *where: Any) -> Rows:
    table = sight(Practice)
    return Rows(table, [condition(table) for condition in where])


def clinician_rows(sight: Sight, *where: Any) -> Rows:
    table = sight(Clinician)
    return Rows(table, [condition(table) for condition in where], (table.c.id,))


def clinicians(_: Any, sight: Sight) -> Rows:
    return clinician_rows(sight)


def clinician_of(row: Any, sight: Sight) -> Rows:
    return clinician_rows(sight, lambda table: table.c.id == row.c.clinician_id)
