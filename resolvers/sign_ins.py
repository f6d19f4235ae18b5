"""Sign-ins of a person, and the identities that a sign-in can switch to."""

from sqlalchemy import ColumnElement, SQLColumnExpression, select, union_all

from identity.tokens import IDLE, has_address, is_valid_token
from models import Client, Contact, Token, ViewerKind
from models.literals import constant
from models.row import Instant
from planner.deferred import bind
from planner.json_text import NotNull
from planner.sources import Rows
from planner.sql_text import rfc3339
from planner.tables import RowOf
from resolvers.request_context import from_request
from resolvers.visibility import AnySelect, Visibility


def sign_ins(_: object, visible: Visibility) -> Rows:
    """Return the viewer's active sign-ins, newest first. Other tokens are not sign-ins."""
    table = visible(Token)
    now = bind(from_request(lambda request: request.now), Instant())
    idle_since = bind(from_request(lambda request: request.now - IDLE), Instant())
    is_theirs = has_address(table, practice_id=visible.practice_id)
    conditions = [table.c.is_sign_in, is_valid_token(table, now, idle_since), is_theirs]
    return Rows(table, conditions, (table.c.created_at, table.c.id), descending=True)


def last_used_at(token: RowOf[Token]) -> ColumnElement[str]:
    """Return the time of the last use, which every sign-in has."""
    return NotNull(rfc3339(token.c.last_used_at))


def is_current(token: RowOf[Token], visible: Visibility) -> ColumnElement[bool]:
    return token.c.id == visible.token_id


# -- identities ------------------------------------------------------------------------------------

KINDS: dict[ViewerKind, type[Client | Contact]] = {
    ViewerKind.CLIENT: Client,
    ViewerKind.CONTACT: Contact,
}


class Person:
    """The columns of a client or contact."""

    id: SQLColumnExpression[str]
    name: SQLColumnExpression[str]
    kind: SQLColumnExpression[str]


def identities(_: object, visible: Visibility) -> Rows:
    """Return the people of the practice with the sign-in's address: clients first, then by id.

    Ids are in the order of entry. A sort by name would depend on the database's collation.
    """
    found = union_all(*(identities_of_kind(kind, visible) for kind in KINDS)).subquery()
    return Rows(found, (), (found.c.kind, found.c.id))


def identities_of_kind(kind: ViewerKind, visible: Visibility) -> AnySelect:
    table = visible.of_same_address(KINDS[kind])
    columns = table.c.id, table.c.name, constant(kind).label("kind")
    return select(*columns).where(visible.predicate_for(table))


def is_viewer(identity: RowOf[Person], visible: Visibility) -> ColumnElement[bool]:
    return identity.c.id == visible.subject_id
