"""Visibility of rows. Every table is reached through `Sight`, which adds the predicate.

Each predicate compares the practice with the viewer's. So all visible rows belong to one practice,
and joins between them compare ids only: comparing practices again would cost a step for each row.
"""

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, Text, and_, or_, select, true

from models import (
    AccessEntry,
    Allocation,
    Client,
    ClientNamePart,
    Clinician,
    Contact,
    ContactRight,
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
from planner.deferred import Deferred, bind
from planner.sources import LateralSubquery
from resolvers.days import TODAY

Predicate = Callable[["Sight", Any], ColumnElement[bool]]


class Sight:
    """The visibility of rows for one kind of viewer. The viewer's ids are statement parameters.

    `digits` are the decimals of the practice's currency. `lateral` says that the database has
    lateral joins. `sees_one` says that the viewer is known to have exactly one client. `today` is
    the current day in the practice's time zone, a `Deferred` in a plan.
    """

    def __init__(
        self,
        kind: ViewerKind,
        *,
        digits: int,
        lateral: bool,
        sees_one: bool = False,
        today: Any = TODAY,
    ) -> None:
        self.kind, self.digits, self.lateral = kind, digits, lateral
        self.sees_one, self.today = sees_one, today
        self.practice_id = of_viewer("practice_id")
        self.subject_id = of_viewer("subject_id")
        self.token_id = of_viewer("token_id")
        self.email = bind(Deferred(lambda context: context.viewer.email), Text())
        self.taken = Counter[type[Row]]()
        self.handed_out: dict[FromClause, Predicate] = {}
        self.applied: set[FromClause] = set()

    def __call__(self, model: type[Row]) -> FromClause:
        """Return a new alias of the model's table, for rows that the viewer may read.

        The planner applies `only` to a table that it selects from. A subquery has to apply it
        itself.
        """
        return self.handed(model, SEEN[model])

    def opened(self, model: type[Row]) -> FromClause:
        """Return the model's table, for viewers that may read the client's documents."""
        return self.handed(model, of_client("client_id", opened=True))

    def counted(self, model: type[Row]) -> FromClause:
        """Return the model's table for sums over a visible client.

        The rows need not be readable: a viewer that may pay a client's bills but not read them
        still gets the correct amount owed.
        """
        return self.handed(model, COUNTED[model])

    def of_same_address(self, model: type[Row]) -> FromClause:
        """Return the model's table, for people with the address that the viewer signed in with."""
        return self.handed(model, same_address)

    def handed(self, model: type[Row], predicate: Predicate) -> FromClause:
        table = self.named(model)
        self.handed_out[table] = predicate
        return table

    def named(self, model: type[Row]) -> FromClause:
        """Return the model's table under an alias that is unique in the statement."""
        self.taken[model] += 1
        return alias(model, self.taken[model])

    def client_id(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the client id to compare rows with.

        For a client it is the viewer's own id, a parameter, which is faster to compare with than
        the column of each surrounding row. For other viewers it is the given column.
        """
        return self.subject_id if self.kind is ViewerKind.CLIENT else column

    def only(self, table: Any) -> ColumnElement[bool]:
        """Return this viewer's predicate for a table, or true for a subquery of such tables."""
        if table not in self.handed_out:
            return true()
        self.applied.add(table)
        return self.handed_out[table](self, table)

    def beside(
        self,
        find: Callable[[], Select[*tuple[Any, ...]]],
        *,
        always: bool = True,
        seldom: bool = False,
        on: Callable[[FromClause], ColumnElement[bool]] | None = None,
    ) -> LateralSubquery:
        """Return a subquery computed per row. `seldom`: only few rows need its values."""
        return LateralSubquery(find, lateral=self.lateral and not seldom, always=always, on=on)

    def check(self) -> None:
        """Raise AssertionError if a table lacks its predicate, a bug in a source."""
        if missing := self.handed_out.keys() - self.applied:
            raise AssertionError(f"read without sight: {[str(table) for table in missing]}")


def of_viewer(name: str) -> ColumnElement[Any]:
    """Return an id of the viewer as a parameter."""
    return bind(Deferred(lambda context: getattr(context.viewer, name)), ID)


# Cached, since SQLAlchemy copies all columns for an alias, a third of the time of planning.
@lru_cache(200)
def alias(model: type[Row], _: int) -> FromClause:
    return model.__table__.alias()


def in_practice(sight: Sight, table: Any) -> ColumnElement[bool]:
    """Select rows visible to the whole practice, or reached only from a visible row."""
    return and_(table.c.practice_id == sight.practice_id)


def the_practice(sight: Sight, table: Any) -> ColumnElement[bool]:
    return and_(table.c.id == sight.practice_id)


def of_client(column: str, *, opened: bool) -> Predicate:
    """Return the predicate for rows of a client.

    A client sees their own rows, a contact those of their clients, and a dashboard those of the
    whole practice. `opened` limits contacts to clients for which they have the right to read
    documents.
    """

    def seen(sight: Sight, table: Any) -> ColumnElement[bool]:
        here = in_practice(sight, table)
        if sight.kind is ViewerKind.DASHBOARD:
            return here
        if sight.kind is ViewerKind.CLIENT:
            return and_(here, table.c[column] == sight.subject_id)
        return and_(here, table.c[column].in_(clients_of_contact(sight, opened)))

    return seen


def clients_of_contact(sight: Sight, opened: bool) -> Select[Any]:
    right = sight.named(ContactRight)
    enough = right.c.sees_documents if opened else or_(right.c.sees_documents, right.c.can_pay)
    return select(right.c.client_id).where(
        right.c.practice_id == sight.practice_id, right.c.contact_id == sight.subject_id, enough
    )


def shared(sight: Sight, table: Any) -> ColumnElement[bool]:
    """Select documents. Clients and contacts only see documents that the practice has shared."""
    seen = of_client("client_id", opened=True)(sight, table)
    if sight.kind is ViewerKind.DASHBOARD:
        return seen
    return and_(seen, table.c.shared_at.is_not(None))


def oneself(kind: ViewerKind) -> Predicate:
    """Return the predicate for the viewer's own row, for one kind of viewer."""

    def seen(sight: Sight, table: Any) -> ColumnElement[bool]:
        assert sight.kind is kind
        return and_(in_practice(sight, table), table.c.id == sight.subject_id)

    return seen


def same_address(sight: Sight, table: Any) -> ColumnElement[bool]:
    """Select clients and contacts with the address that the viewer signed in with.

    For a viewer without a sign-in there are none.
    """
    return and_(in_practice(sight, table), table.c.mailbox == sight.email)


def own_tokens(sight: Sight, table: Any) -> ColumnElement[bool]:
    """Select a person's tokens and the sign-ins with their address, or a dashboard's own token."""
    here = in_practice(sight, table)
    if sight.kind is ViewerKind.DASHBOARD:
        return and_(here, table.c.id == sight.token_id)
    whose = table.c.client_id if sight.kind is ViewerKind.CLIENT else table.c.contact_id
    return and_(here, or_(whose == sight.subject_id, table.c.email == sight.email))


# Rows that a viewer may read.
SEEN: dict[type[Row], Predicate] = {
    Practice: the_practice,
    PracticeVersion: in_practice,
    Clinician: in_practice,
    Letterhead: in_practice,
    Client: of_client("id", opened=False),
    Contact: oneself(ViewerKind.CONTACT),
    ContactRight: in_practice,
    Token: own_tokens,
    PaymentMethod: of_client("client_id", opened=False),
    Session: of_client("client_id", opened=True),
    LedgerEntry: of_client("client_id", opened=True),
    Payment: of_client("client_id", opened=False),
    Receipt: of_client("client_id", opened=True),
    AccessEntry: of_client("client_id", opened=True),
    Invoice: shared,
    InvoiceLine: in_practice,
    Statement: shared,
    StatementLine: in_practice,
    Superbill: shared,
    SuperbillLine: in_practice,
    SuperbillDiagnosis: in_practice,
}

# Rows that may be summed for a visible client.
COUNTED: dict[type[Row], Predicate] = {
    Session: of_client("client_id", opened=False),
    LedgerEntry: of_client("client_id", opened=False),
    Allocation: of_client("client_id", opened=False),
    Payment: of_client("client_id", opened=False),
    Dispute: of_client("client_id", opened=False),
    Invoice: of_client("client_id", opened=False),
    InvoiceLine: in_practice,
    ClientNamePart: in_practice,
}
