"""Clients and their accounts."""

import datetime as dt
import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    FromClause,
    SQLColumnExpression,
    Text,
    and_,
    case,
    exists,
    false,
    select,
    true,
)

from billing.ledger.balance import (
    Account,
    AccountStatements,
    reasons_against_cards,
)
from billing.ledger.invoices import total
from billing.stripe.currencies import smallest_charge
from models import (
    ACTIVE_STATES,
    Client,
    ClientNamePart,
    ContactRight,
    Invoice,
    InvoiceLine,
    Payment,
    PaymentMethod,
    Practice,
    Receipt,
    Session,
    Statement,
    Superbill,
    ViewerKind,
)
from models.literals import constant
from models.names import fold_name
from models.row import ID
from planner.deferred import FieldError, MaybeDeferred, bind, map_deferred
from planner.outcome import OutcomeRow
from planner.sources import LateralSubquery, Rows
from planner.tables import Condition, RowOf, TableAlias
from resolvers.changed_since import since
from resolvers.ids import row_id
from resolvers.online_payments import reached_account
from resolvers.ordering import OrderDirection
from resolvers.request_context import from_request
from resolvers.visibility import AnySelect, Visibility

# Rows that belong to a client.
OfClient = Session | Invoice | Statement | Superbill | Payment | Receipt | PaymentMethod


class ClientRow:
    """A client, with values computed per row if a field needs them."""

    def __init__(self, table: TableAlias[Client], visible: Visibility) -> None:
        self.c, self.table, self.visible = table.c, table, visible
        self.account, sums = account_of(visible, table.c.id, table)
        self.uninvoiced = visible.subquery(lambda: uninvoiced(table, visible))
        self.practice = visible.subquery(lambda: online_payments(table, visible))
        self.subqueries = (*sums, self.uninvoiced, self.practice)

    @property
    def may_pay(self) -> ColumnElement[bool]:
        """Return whether the viewer may pay: clients always, contacts if they have the right."""
        if self.visible.kind is ViewerKind.CONTACT:
            return has_right_to_pay(self.table, self.visible)
        return true() if self.visible.kind is ViewerKind.CLIENT else false()


def statements_of(
    visible: Visibility,
    column: SQLColumnExpression[str],
    as_of: BindParameter[dt.date] | None = None,
) -> AccountStatements:
    """Return the statements of the account of the client in a column, over visible rows."""
    client_id = visible.client_id(column)
    return AccountStatements(
        visible.for_totals, visible.predicate_for, visible.practice_id, client_id, as_of
    )


def account_of(
    visible: Visibility,
    column: SQLColumnExpression[str],
    table: FromClause,
    as_of: BindParameter[dt.date] | None = None,
) -> tuple[Account, tuple[LateralSubquery, ...]]:
    """Return the account of the client in a table's column, and the sums to compute for each
    row.
    """

    def lateral(statement: Callable[[], AnySelect]) -> LateralSubquery:
        # For a client, the sums do not depend on a row, so both databases join them.
        on = (lambda _: true()) if visible.kind is ViewerKind.CLIENT else None
        return visible.subquery(lambda: statement().correlate(table), on=on)

    statements = statements_of(visible, column, as_of)
    sums = tuple(lateral(statement) for statement in statements.sums())
    return Account(*sums), sums


def is_disputed(visible: Visibility, invoice: TableAlias[Invoice]) -> ColumnElement[bool]:
    """Return whether an open dispute has made the invoice due again."""
    statement = statements_of(visible, invoice.c.client_id).is_disputed(invoice.c.id)
    return statement.correlate(invoice).exists()


def rows(visible: Visibility, *where: Condition[Client]) -> Rows:
    """Return visible clients, sorted by id."""
    table = visible(Client)
    row = ClientRow(table, visible)
    conditions = [condition(table) for condition in where]
    return Rows(table, conditions, (table.c.id,), row=row, subqueries=row.subqueries)


def client(_: object, visible: Visibility, id: MaybeDeferred[str] | None = None) -> Rows:
    """Return the client with this id; without an id, the viewer's only client."""
    if id is not None:
        own = row_id(id, "cli")
        return rows(visible, lambda table: table.c.id == own)
    if not visible.has_sole_client:
        raise FieldError(
            "CLIENT_REQUIRED", "the client's id is required, unless you have exactly one client"
        )
    only = from_request(lambda request: request.viewer.sole_client_id)
    return rows(visible, lambda table: table.c.id == bind(only, ID))


# -- all clients of the practice -------------------------------------------------------------------


class ClientOrderField(enum.StrEnum):
    NAME = "NAME"
    CREATED = "CREATED"


@dataclass
class ClientOrder:
    field: ClientOrderField = ClientOrderField.NAME
    direction: OrderDirection = OrderDirection.ASC


def clients(
    _: object,
    visible: Visibility,
    search: MaybeDeferred[str] | None = None,
    with_balance: bool | None = None,
    is_archived: bool | None = None,
    order_by: ClientOrder | None = None,
    changed_since: MaybeDeferred[str] | None = None,
) -> Rows:
    """Return the visible clients, by name by default."""
    table = visible(Client)
    row = ClientRow(table, visible)
    where = [since(table.c.version, changed_since)]
    if search is not None:
        where.append(is_named(table, visible, search))
    if with_balance is not None:
        owes_nothing = row.account.balance == constant(0)
        where.append(~owes_nothing if with_balance else owes_nothing)
    if is_archived is not None:
        archived_on = table.c.archived_on
        where.append(archived_on.is_not(None) if is_archived else archived_on.is_(None))
    order_by = order_by or ClientOrder()
    name, key = ORDERS[order_by.field]
    descending = order_by.direction is OrderDirection.DESC

    def place(id_: ColumnElement[str]) -> Sequence[ColumnElement[Any]]:
        """Return the sort keys of a cursor's client. The cursor itself must not contain a name."""
        other = visible(Client)
        stands = select(key(other)).where(visible.predicate_for(other), other.c.id == id_)
        return stands.scalar_subquery(), id_

    order = (key(table), table.c.id)
    return Rows(table, where, order, descending, name, row, row.subqueries, place)


def is_searched(arguments: Mapping[str, Any]) -> bool:
    """Return whether the arguments of `clients` find clients by their names."""
    return arguments.get("search") is not None


def is_sorted_by_name(arguments: Mapping[str, Any]) -> bool:
    """Return whether the order reveals the name that comes first. It does by default."""
    order = arguments.get("orderBy")
    return order is None or order["field"] is ClientOrderField.NAME


SortKey = Callable[[TableAlias[Client]], SQLColumnExpression[Any]]
ORDERS: dict[ClientOrderField, tuple[str, SortKey]] = {
    ClientOrderField.NAME: ("client-name", lambda client: client.c.folded_name),
    ClientOrderField.CREATED: ("client-created", lambda client: client.c.created_at),
}
# Sorts after every character of a folded name.
LAST_CHARACTER = "\U0010ffff"


def is_named(
    client: TableAlias[Client], visible: Visibility, search: MaybeDeferred[str]
) -> ColumnElement[bool]:
    """Return the condition that the name contains the search text at the beginning of a word."""
    part = visible.for_totals(ClientNamePart)
    beginning, end = map_deferred(beginning_of, search), map_deferred(end_of, search)
    statement = select(part.c.client_id).where(
        visible.predicate_for(part),
        part.c.text >= bind(beginning, Text()),
        part.c.text < bind(end, Text()),
    )
    return client.c.id.in_(statement)


def beginning_of(search: str) -> str:
    """Return the lower bound of matching names. Text without a letter or digit matches no name.

    Blanks match every name, since each begins with the empty text.
    """
    return fold_name(search) or (LAST_CHARACTER if search.strip() else "")


def end_of(search: str) -> str:
    """Return the upper bound of matching names."""
    return fold_name(search) + LAST_CHARACTER


def viewers_clients(_: object, visible: Visibility) -> Rows:
    """Return the clients of a client or contact; none for a program."""
    if visible.kind.is_program:
        return rows(visible, lambda _: false())
    return rows(visible)


def client_of(row: RowOf[OfClient], visible: Visibility) -> Rows:
    """Return the client that the row belongs to."""
    return rows(visible, lambda table: table.c.id == visible.client_id(row.c.client_id))


def of_outcome(outcome: OutcomeRow, visible: Visibility) -> Rows:
    """Return the client of the payment that a mutation was about."""
    payment = visible.for_totals(Payment)
    statement = select(payment.c.client_id).where(
        visible.predicate_for(payment), payment.c.id == outcome.value("payment_id", ID)
    )
    return rows(visible, lambda table: table.c.id == statement.scalar_subquery())


def of_result(outcome: OutcomeRow, visible: Visibility) -> Rows:
    """Return the client in the result of a mutation."""
    return rows(visible, lambda table: table.c.id == outcome.value("client_id", ID))


def of_visible_client(
    client_id: SQLColumnExpression[str | None], client: RowOf[Client], visible: Visibility
) -> ColumnElement[bool]:
    """Return the condition for rows of a visible client."""
    return client_id == visible.client_id(client.c.id)


# -- values computed per client --------------------------------------------------------------------


def uninvoiced(client: TableAlias[Client], visible: Visibility) -> AnySelect:
    """Return the fees of sessions without an invoice."""
    session = visible.for_totals(Session)
    return (
        select(total(session.c.fee_minor).label("total"))
        .select_from(session)
        .where(
            visible.predicate_for(session),
            of_visible_client(session.c.client_id, client, visible),
            ~is_invoiced(session, visible),
        )
        .correlate(client)
    )


def is_invoiced(session: TableAlias[Session], visible: Visibility) -> ColumnElement[bool]:
    """Return the condition that a line of a valid invoice refers to the session."""
    line = visible.for_totals(InvoiceLine)
    named = and_(line.c.session_id == session.c.id, ~line.c.is_void)
    return exists().where(visible.predicate_for(line), named).correlate(session)


def online_payments(client: TableAlias[Client], visible: Visibility) -> AnySelect:
    practice = visible(Practice)
    is_on = reached_account(practice).is_not(None)
    return select(is_on.label("online")).where(visible.predicate_for(practice)).correlate(client)


def has_right_to_pay(client: TableAlias[Client], visible: Visibility) -> ColumnElement[bool]:
    right = visible(ContactRight)
    condition = and_(right.c.client_id == client.c.id, right.c.can_pay)
    return exists().where(visible.predicate_for(right), condition).correlate(client)


def pays_already(client: TableAlias[Client], visible: Visibility) -> ColumnElement[bool]:
    payment = visible.for_totals(Payment)
    theirs = of_visible_client(payment.c.client_id, client, visible)
    active = payment.c.state.in_([constant(state) for state in ACTIVE_STATES])
    return exists().where(visible.predicate_for(payment), theirs, active).correlate(client)


# -- permissions -----------------------------------------------------------------------------------


class PermissionRow:
    """Whether the viewer may perform an action for the client. Without a reason, they may."""

    def __init__(self, reason: ColumnElement[str]) -> None:
        self.reason = reason
        self.is_allowed = reason.is_(None)


def can_pay(client: ClientRow) -> PermissionRow:
    smallest = from_request(lambda request: smallest_charge(request.viewer.currency))
    return PermissionRow(
        client.account.reason_not_to_pay(
            online=client.practice["online"],
            may_pay=client.may_pay,
            in_progress=pays_already(client.table, client.visible),
            smallest=bind(smallest, BigInteger()),
        )
    )


def can_add_card(client: ClientRow) -> PermissionRow:
    return PermissionRow(case(*reasons_against_cards(client.practice["online"], client.may_pay)))
