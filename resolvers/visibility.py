"""Visibility of rows. Every table is reached through `Visibility`, which adds the predicate.

Each predicate compares the practice with the viewer's. So all visible rows belong to one practice,
and joins between them compare ids only: comparing practices again would cost a step for each row.
"""

import datetime as dt
import enum
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    Date,
    FromClause,
    Select,
    SQLColumnExpression,
    Text,
    and_,
    exists,
    or_,
    select,
    true,
)
from sqlalchemy.sql import visitors

from models import (
    AccessEntry,
    Allocation,
    Client,
    ClientNamePart,
    Clinician,
    Contact,
    ContactRight,
    DataScope,
    Dispute,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Letterhead,
    Payment,
    PaymentMethod,
    Practice,
    PracticeVersion,
    Receipt,
    Row,
    Session,
    Statement,
    StatementLine,
    Superbill,
    SuperbillDiagnosis,
    SuperbillLine,
    Token,
    ViewerKind,
)
from models.row import ID
from planner.deferred import MaybeDeferred, bind
from planner.sources import LateralSubquery
from planner.tables import TableAlias
from resolvers.days import TODAY
from resolvers.request_context import from_request

M = TypeVar("M", bound=Row)
# A SELECT of any columns.
AnySelect: TypeAlias = Select[*tuple[Any, ...]]


class PolicyColumns:
    """The columns that predicates read. A table has those that its own predicate names."""

    id: SQLColumnExpression[str]
    practice_id: SQLColumnExpression[str]
    client_id: SQLColumnExpression[str]
    contact_id: SQLColumnExpression[str]
    email: SQLColumnExpression[str]
    mailbox: SQLColumnExpression[str]
    shared_at: SQLColumnExpression[dt.datetime]
    until: SQLColumnExpression[dt.date | None]
    sees_documents: SQLColumnExpression[bool]
    can_pay: SQLColumnExpression[bool]
    is_shared: SQLColumnExpression[bool]


Restricted = TableAlias[PolicyColumns]


class Right(enum.Enum):
    """A right of a contact to a client's bills. ANY is either of the two."""

    ANY = enum.auto()
    DOCUMENTS = enum.auto()
    PAY = enum.auto()


# The condition for the rows of a table that a viewer may read.
Predicate = Callable[["Visibility", Restricted], ColumnElement[bool]]


@dataclass(frozen=True)
class OfViewer:
    """A predicate for rows of the viewer, of the viewer's clients, or of all people alike.

    A person's statement with another predicate depends on the data of the whole practice.
    """

    predicate: Predicate

    def __call__(self, visible: "Visibility", table: Restricted) -> ColumnElement[bool]:
        return self.predicate(visible, table)


class Visibility:
    """The visibility of rows for one kind of viewer. The viewer's ids are statement parameters.

    `digits` are the decimals of the practice's currency. `lateral` says that the database has
    lateral joins. `has_sole_client` says that the viewer is known to have exactly one client.
    `today` is the current day in the practice's time zone, a `Deferred` in a plan, and `day` is its
    parameter.
    """

    def __init__(
        self,
        kind: ViewerKind,
        *,
        digits: int,
        lateral: bool,
        has_sole_client: bool = False,
        today: MaybeDeferred[dt.date] = TODAY,
    ) -> None:
        self.kind, self.digits, self.lateral = kind, digits, lateral
        self.has_sole_client, self.today = has_sole_client, today
        self.practice_id = viewer_value("practice_id")
        self.subject_id = viewer_value("subject_id")
        self.day: ColumnElement[dt.date] = bind(today, Date())
        self.token_id = viewer_value("token_id")
        self.email = bind(from_request(lambda request: request.viewer.email), Text())
        self.taken = Counter[type[Row]]()
        self.predicates: dict[FromClause, Predicate] = {}
        # Whether a person's statement has no other rows than those of OfViewer.
        self.is_of_viewer = not kind.is_program
        self.applied: set[FromClause] = set()

    def __call__(self, model: type[M]) -> TableAlias[M]:
        """Return a new alias of the model's table, for rows that the viewer may read.

        The planner applies `predicate_for` to a table that it selects from. A subquery has to apply
        it itself.
        """
        return self.register(model, VISIBLE[model])

    def for_documents(self, model: type[M]) -> TableAlias[M]:
        """Return the model's table, for viewers that may read the client's documents."""
        return self.register(model, client_rows("client_id", Right.DOCUMENTS))

    def for_totals(self, model: type[M]) -> TableAlias[M]:
        """Return the model's table for sums over a visible client.

        The rows need not be readable: a viewer that may pay a client's bills but not read them
        still gets the correct amount owed.
        """
        return self.register(model, IN_TOTALS[model])

    def of_same_address(self, model: type[M]) -> TableAlias[M]:
        """Return the model's table, for people with the address that the viewer signed in with."""
        return self.register(model, same_address)

    def register(self, model: type[M], predicate: Predicate) -> TableAlias[M]:
        table = self.alias(model)
        self.predicates[table] = predicate
        self.is_of_viewer &= isinstance(predicate, OfViewer)
        return table

    def alias(self, model: type[M]) -> TableAlias[M]:
        """Return the model's table under an alias that is unique in the statement."""
        self.taken[model] += 1
        return cast("TableAlias[M]", alias(model, self.taken[model]))

    def client_id(self, column: SQLColumnExpression[str]) -> SQLColumnExpression[str]:
        """Return the client id to compare rows with.

        For a client it is the viewer's own id, a parameter, which is faster to compare with than
        the column of each surrounding row. For other viewers it is the given column.
        """
        return self.subject_id if self.kind is ViewerKind.CLIENT else column

    def predicate_for(self, table: FromClause) -> ColumnElement[bool]:
        """Return this viewer's predicate for a table, or true for a subquery of such tables."""
        if table not in self.predicates:
            return true()
        self.applied.add(table)
        return self.predicates[table](self, cast("Restricted", table))

    def subquery(
        self,
        find: Callable[[], AnySelect],
        *,
        always: bool = True,
        rarely_read: bool = False,
        on: Callable[[FromClause], ColumnElement[bool]] | None = None,
    ) -> LateralSubquery:
        """Return a subquery computed per row. `rarely_read`: only few rows need its values."""
        return LateralSubquery(find, lateral=self.lateral and not rarely_read, always=always, on=on)

    @property
    def scope(self) -> DataScope | None:
        """Return the part of the data that the statement depends on, or None if it has no version.

        A person's own tokens have none.
        """
        if Token in self.taken and not self.kind.is_program:
            return None
        return DataScope.VIEWER if self.is_of_viewer else DataScope.PRACTICE

    def check(self, statement: AnySelect) -> None:
        """Raise AssertionError if a statement reads a table without its predicate, a bug in a
        source. Tables of a source that refused its arguments are not in the statement.
        """
        rest = self.predicates.keys() - self.applied
        if rest and (missing := rest.intersection(visitors.iterate(statement))):
            names = sorted(str(getattr(table, "element", table)) for table in missing)
            raise AssertionError(f"read without its predicate: {', '.join(names)}")


def viewer_value(name: str) -> ColumnElement[str]:
    """Return an id of the viewer as a parameter."""
    return bind(from_request(lambda request: getattr(request.viewer, name)), ID)


# Cached, since SQLAlchemy copies all columns for an alias, a third of the time of planning.
@lru_cache(200)
def alias(model: type[Row], _: int) -> FromClause:
    return model.__table__.alias()


def in_practice(visible: Visibility, table: Restricted) -> ColumnElement[bool]:
    """Select rows visible to the whole practice, or reached only from a visible row."""
    return and_(table.c.practice_id == visible.practice_id)


@OfViewer
def own_practice(visible: Visibility, table: Restricted) -> ColumnElement[bool]:
    return and_(table.c.id == visible.practice_id)


@OfViewer
def part_of_visible_row(visible: Visibility, table: Restricted) -> ColumnElement[bool]:
    """Select rows that are read with the visible row of a client that they are a part of."""
    return in_practice(visible, table)


def client_rows(name: Literal["id", "client_id"], right: Right) -> Predicate:
    """Return the predicate for rows of a client.

    A client sees their own rows, a contact those of the clients for whom they have the right, and a
    program those of the whole practice.
    """

    def seen(visible: Visibility, table: Restricted) -> ColumnElement[bool]:
        condition = in_practice(visible, table)
        client_id = table.c.id if name == "id" else table.c.client_id
        if visible.kind.is_program:
            return condition
        if visible.kind is ViewerKind.CLIENT:
            return and_(condition, client_id == visible.subject_id)
        return and_(client_id.in_(clients_of_contact(visible, right)), condition)

    return OfViewer(seen)


def clients_of_contact(visible: Visibility, right: Right) -> Select[Any]:
    row = cast("Restricted", visible.alias(ContactRight))
    enough = {
        Right.ANY: or_(row.c.sees_documents, row.c.can_pay),
        Right.DOCUMENTS: row.c.sees_documents,
        Right.PAY: row.c.can_pay,
    }
    return select(row.c.client_id).where(enough[right], valid_rights(visible, row))


@OfViewer
def paid_or_documented(visible: Visibility, table: Restricted) -> ColumnElement[bool]:
    """Select payments and receipts. A contact without the right to documents sees their own."""
    seen = client_rows("client_id", Right.ANY)(visible, table)
    if visible.kind is not ViewerKind.CONTACT:
        return seen
    documented = table.c.client_id.in_(clients_of_contact(visible, Right.DOCUMENTS))
    return and_(seen, or_(table.c.contact_id == visible.subject_id, documented))


@OfViewer
def own_or_shared_cards(visible: Visibility, table: Restricted) -> ColumnElement[bool]:
    """Select a person's own cards, and those that their holders share for the client.

    A contact sees them for clients for whom the contact may pay.
    """
    seen = client_rows("client_id", Right.PAY)(visible, table)
    if visible.kind.is_program:
        return seen
    is_shared = and_(table.c.is_shared, holder_may_pay(visible, table))
    return and_(seen, or_(is_held(visible, table), is_shared))


def is_held(visible: Visibility, table: Any) -> ColumnElement[bool]:
    """Return whether the row of a card or of a payment has the viewer, a person, as its holder."""
    contact_id: ColumnElement[str] = table.c.contact_id
    if visible.kind is ViewerKind.CLIENT:
        return contact_id.is_(None)
    # Never NULL, since a client's rows have no contact.
    return and_(contact_id.is_not(None), contact_id == visible.subject_id)


def holder_may_pay(visible: Visibility, table: Any) -> ColumnElement[bool]:
    """Return whether a card's holder may pay for the card's client: the client, or a contact with
    the right.
    """
    right = cast("Restricted", visible.alias(ContactRight))
    is_valid = or_(right.c.until.is_(None), right.c.until >= visible.day)
    may_pay = exists().where(
        right.c.practice_id == visible.practice_id,
        right.c.client_id == table.c.client_id,
        right.c.contact_id == table.c.contact_id,
        right.c.can_pay,
        is_valid,
    )
    return or_(table.c.contact_id.is_(None), may_pay.correlate(table))


@OfViewer
def valid_rights(visible: Visibility, table: Restricted) -> ColumnElement[bool]:
    """Select the rights of a contact, the viewer, that have not ended."""
    is_valid = or_(table.c.until.is_(None), table.c.until >= visible.day)
    return and_(in_practice(visible, table), table.c.contact_id == visible.subject_id, is_valid)


@OfViewer
def shared_documents(visible: Visibility, table: Restricted) -> ColumnElement[bool]:
    """Select documents. Clients and contacts only see documents that the practice has shared."""
    seen = client_rows("client_id", Right.DOCUMENTS)(visible, table)
    if visible.kind.is_program:
        return seen
    return and_(seen, table.c.shared_at.is_not(None))


def own_row(kind: ViewerKind) -> Predicate:
    """Return the predicate for the viewer's own row, for one kind of viewer."""

    def seen(visible: Visibility, table: Restricted) -> ColumnElement[bool]:
        assert visible.kind is kind
        return and_(in_practice(visible, table), table.c.id == visible.subject_id)

    return OfViewer(seen)


def same_address(visible: Visibility, table: Restricted) -> ColumnElement[bool]:
    """Select clients and contacts with the address that the viewer signed in with.

    For a viewer without a sign-in there are none.
    """
    return and_(in_practice(visible, table), table.c.mailbox == visible.email)


def own_sign_ins_and_tokens(visible: Visibility, table: Restricted) -> ColumnElement[bool]:
    """Select a person's tokens and the sign-ins with their address, or a program's own token."""
    condition = in_practice(visible, table)
    if visible.kind.is_program:
        return and_(condition, table.c.id == visible.token_id)
    whose = table.c.client_id if visible.kind is ViewerKind.CLIENT else table.c.contact_id
    return and_(condition, or_(whose == visible.subject_id, table.c.email == visible.email))


# Rows that a viewer may read.
VISIBLE: dict[type[Row], Predicate] = {
    Practice: own_practice,
    PracticeVersion: in_practice,
    Clinician: OfViewer(in_practice),
    Letterhead: OfViewer(in_practice),
    Client: client_rows("id", Right.ANY),
    Contact: own_row(ViewerKind.CONTACT),
    ContactRight: valid_rights,
    Token: own_sign_ins_and_tokens,
    PaymentMethod: own_or_shared_cards,
    Session: client_rows("client_id", Right.DOCUMENTS),
    LedgerEntry: client_rows("client_id", Right.DOCUMENTS),
    Payment: paid_or_documented,
    Receipt: paid_or_documented,
    AccessEntry: client_rows("client_id", Right.DOCUMENTS),
    Invoice: shared_documents,
    InvoiceLine: part_of_visible_row,
    Statement: shared_documents,
    StatementLine: part_of_visible_row,
    Superbill: shared_documents,
    SuperbillLine: part_of_visible_row,
    SuperbillDiagnosis: part_of_visible_row,
}

# Rows that may be summed for a visible client.
IN_TOTALS: dict[type[Row], Predicate] = {
    Session: client_rows("client_id", Right.ANY),
    LedgerEntry: client_rows("client_id", Right.ANY),
    Allocation: client_rows("client_id", Right.ANY),
    Payment: client_rows("client_id", Right.ANY),
    Dispute: client_rows("client_id", Right.ANY),
    Invoice: client_rows("client_id", Right.ANY),
    InvoiceLine: part_of_visible_row,
    ClientNamePart: in_practice,
}
