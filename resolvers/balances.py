"""Balances of clients, their terms, and the invoices that make up the payable amount."""

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Date

from billing.ledger.balance import Account, BalanceTermKind
from billing.ledger.invoices import InvoiceTotals
from models import Invoice
from models.literals import constant
from planner.deferred import MaybeDeferred, bind, map_deferred
from planner.sources import LateralSubquery, Rows
from planner.tables import TableAlias
from resolvers.clients import ClientRow, account_of, is_disputed, of_visible_client
from resolvers.days import until_today
from resolvers.invoices import rows as invoice_rows
from resolvers.invoices import totals_subquery
from resolvers.money import Amount
from resolvers.visibility import Visibility


class BalanceRow:
    """A client's balance at the end of a day: `account` is the account then, with its own `sums`,
    and `client` the client now.
    """

    def __init__(
        self, client: ClientRow, account: Account, sums: Sequence[LateralSubquery] = ()
    ) -> None:
        self.client, self.account, self.sums = client, account, sums


def balance(client: ClientRow, as_of: MaybeDeferred[dt.date] | None = None) -> BalanceRow:
    """Return the balance now, or at the end of a day."""
    if as_of is None:
        return BalanceRow(client, client.account)
    day = bind(map_deferred(until_today, as_of, client.visible.today), Date())
    account, sums = account_of(client.visible, client.c.id, client.table, day)
    return BalanceRow(client, account, sums)


class TermRow:
    """One of the sums that make up a balance."""

    def __init__(self, kind: BalanceTermKind, minor: ColumnElement[int]) -> None:
        self.kind, self.amount = constant(kind), Amount(minor)


def terms(balance: BalanceRow) -> list[TermRow]:
    return [TermRow(kind, minor) for kind, minor in balance.account.terms]


class PayableInvoiceRow:
    """An invoice that makes up the payable amount."""

    def __init__(self, table: TableAlias[Invoice], due: ColumnElement[int]) -> None:
        self.c, self.due = table.c, due


def payable_invoices(balance: BalanceRow, visible: Visibility) -> Rows:
    """Return the undisputed invoices with an amount due, in the order in which money pays them.

    Invoices that the practice has not shared yet are due too.
    """
    table = visible.for_totals(Invoice)
    billed, paid = totals_subquery(visible, table.c.id, table)
    due = InvoiceTotals(table.c.is_void, billed, paid).due
    where = [
        of_visible_client(table.c.client_id, balance.client, visible),
        due != constant(0),
        ~is_disputed(visible, table),
    ]
    row = PayableInvoiceRow(table, due)
    return Rows(
        table, where, (table.c.issued_on, table.c.serial), row=row, subqueries=(billed, paid)
    )


def shared_invoice(payable: PayableInvoiceRow, visible: Visibility) -> Rows:
    return invoice_rows(visible, lambda table: table.c.id == payable.c.id)
