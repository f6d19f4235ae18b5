"""Who sees which rows. Every table is reached through `Sight`, which puts the predicate in.

Each predicate names the viewer's practice. So rows in sight are all of one practice, and what joins
two of them compares their ids alone: to compare practices once more costs a step for each row.
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
from resolvers.days import TODAY
from resolvers.planner.later import Later, bound
from resolvers.planner.sources import Beside

Predicate = Callable[["Sight", Any], ColumnElement[bool]]


class Sight:
    """The eyes of one kind of viewer; the viewer's own ids are bound values of the statement.

    `digits` are the decimals of the practice's currency; `lateral`: the database has such joins;
    `sees_one`: the viewer is known to see a single client; `today`: the practice's day, `Later`
    in a plan.
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
        self.kind, self.digits, self.lateral, self.sees_one = kind, digits, lateral, sees_one
        self.today = today
        self.practice_id = of_viewer("practice_id")
        self.subject_id = of_viewer("subject_id")
        self.token_id = of_viewer("token_id")
        self.email = bound(Later(lambda asked: asked.viewer.email), Text())
        self.taken = Counter[type[Row]]()
        self.handed_out: dict[FromClause, Predicate] = {}
        self.applied: set[FromClause] = set()

    def __call__(self, model: type[Row]) -> FromClause:
        """The model's table, newly named, for rows that the viewer may look at.

        The planner adds `only` where it selects from the table; a subquery does so itself.
        """
        return self.handed(model, SEEN[model])

    def opened(self, model: type[Row]) -> FromClause:
        """The model's table, only for those who may see the client's documents."""
        return self.handed(model, of_client("client_id", opened=True))

    def counted(self, model: type[Row]) -> FromClause:
        """The model's table for sums over a client in sight, whether or not each row may be read.

        What is owed is true also to somebody who may pay a client's bills but not open them.
        """
        return self.handed(model, COUNTED[model])

    def of_same_address(self, model: type[Row]) -> FromClause:
        """The model's table, for people who have the address that the viewer signed in with."""
        return self.handed(model, same_address)

    def handed(self, model: type[Row], predicate: Predicate) -> FromClause:
        table = self.named(model)
        self.handed_out[table] = predicate
        return table

    def named(self, model: type[Row]) -> FromClause:
        """The model's table, by a name that nothing else in the statement has."""
        self.taken[model] += 1
        return alias(model, self.taken[model])

    def client_id(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """The id of the client that rows in sight are of, which the column has.

        A client's own, where a client looks: the database then has nothing to compare with each
        row around.
        """
        return self.subject_id if self.kind is ViewerKind.CLIENT else column

    def only(self, table: Any) -> ColumnElement[bool]:
        """The condition for this viewer on a table; none on a subquery made of such tables."""
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
    ) -> Beside:
        """What a subquery works out beside a row; `seldom`: few rows come to where it is read."""
        return Beside(find, lateral=self.lateral and not seldom, always=always, on=on)

    def check(self) -> None:
        """Stops a statement that has a table without its predicate: a bug in a source."""
        if missing := self.handed_out.keys() - self.applied:
            raise AssertionError(f"read without sight: {[str(table) for table in missing]}")


def of_viewer(name: str) -> ColumnElement[Any]:
    """Return one of the viewer's own ids, which each request brings."""
    return bound(Later(lambda asked: getattr(asked.viewer, name)), ID)


# Kept, since SQLAlchemy copies all columns for a name: that was a third of the work of a plan.
@lru_cache(200)
def alias(model: type[Row], _: int) -> FromClause:
    return model.__table__.alias()


def in_practice(sight: Sight, table: Any) -> ColumnElement[bool]:
    """Rows that anybody of the practice sees, or that are reached only from a row in sight."""
    return and_(table.c.practice_id == sight.practice_id)


def the_practice(sight: Sight, table: Any) -> ColumnElement[bool]:
    return and_(table.c.id == sight.practice_id)


def of_client(column: str, *, opened: bool) -> Predicate:
    """Rows of a client: one's own, a contact's clients', the whole practice's for a dashboard.

    `opened`: what a contact needs the right to see documents for.
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
    """Documents: the practice has to share one before a client or a contact sees it."""
    seen = of_client("client_id", opened=True)(sight, table)
    if sight.kind is ViewerKind.DASHBOARD:
        return seen
    return and_(seen, table.c.shared_at.is_not(None))


def oneself(kind: ViewerKind) -> Predicate:
    """The viewer's own row, for viewers of one kind."""

    def seen(sight: Sight, table: Any) -> ColumnElement[bool]:
        assert sight.kind is kind
        return and_(in_practice(sight, table), table.c.id == sight.subject_id)

    return seen


def same_address(sight: Sight, table: Any) -> ColumnElement[bool]:
    """Clients and contacts whose address the viewer signed in with; of other viewers nobody."""
    return and_(in_practice(sight, table), table.c.mailbox == sight.email)


def own_tokens(sight: Sight, table: Any) -> ColumnElement[bool]:
    """A person's own, with the sign-ins of the same address; of a dashboard's the one that it asks
    with."""
    here = in_practice(sight, table)
    if sight.kind is ViewerKind.DASHBOARD:
        return and_(here, table.c.id == sight.token_id)
    whose = table.c.client_id if sight.kind is ViewerKind.CLIENT else table.c.contact_id
    return and_(here, or_(whose == sight.subject_id, table.c.email == sight.email))


# Rows that a viewer may look at.
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

# Rows that may be summed up for a client in sight.
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
