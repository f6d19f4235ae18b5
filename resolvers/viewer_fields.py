"""The viewer, the practice, and its therapists."""

from typing import Any

from sqlalchemy import ColumnElement, Text, null
from sqlalchemy import cast as sql_cast

from models import Client, Clinician, Contact, Practice, Token, ViewerKind
from models.literals import constant
from models.row import Instant
from planner.deferred import Deferred, bind
from planner.sources import Rows
from resolvers.request_context import from_request
from resolvers.visibility import Visibility

WHO = {ViewerKind.CLIENT: Client, ViewerKind.CONTACT: Contact, ViewerKind.DASHBOARD: Token}


class ViewerRow:
    """The viewer, read from the row of the client, the contact or the dashboard's token."""

    def __init__(self, table: Any, visible: Visibility) -> None:
        self.name = table.c.name
        self.kind = constant(visible.kind)
        self.email: ColumnElement[Any] = (
            table.c.email if "email" in table.c else sql_cast(null(), Text)
        )
        self.scopes = bind(Deferred(scopes), Text())
        self.expires_at = bind(from_request(lambda request: request.viewer.expires_at), Instant())


def viewer(_: Any, visible: Visibility) -> Rows:
    table = visible(WHO[visible.kind])
    own = visible.token_id if visible.kind is ViewerKind.DASHBOARD else visible.subject_id
    return Rows(table, [table.c.id == own], row=ViewerRow(table, visible))


def scopes(asked: Any) -> str:
    """Return the scopes as a JSON list of names, none of which needs escaping."""
    return "[" + ",".join(f'"{scope}"' for scope in sorted(asked.viewer.scopes)) + "]"


def practice(_: Any, visible: Visibility) -> Rows:
    return practices(visible)


def practices(visible: Visibility, *where: Any) -> Rows:
    table = visible(Practice)
    return Rows(table, [condition(table) for condition in where])


def clinician_rows(visible: Visibility, *where: Any) -> Rows:
    table = visible(Clinician)
    return Rows(table, [condition(table) for condition in where], (table.c.id,))


def clinicians(_: Any, visible: Visibility) -> Rows:
    return clinician_rows(visible)


def clinician_of(row: Any, visible: Visibility) -> Rows:
    return clinician_rows(visible, lambda table: table.c.id == row.c.clinician_id)
