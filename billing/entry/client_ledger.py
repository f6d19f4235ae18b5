"""A client's account in memory: the rows that the rules of an entry depend on.

The rows are read from the database before an entry, or stay in memory from one entry to the next.
All amounts are computed by `billing/ledger/`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.entry.errors import EntryError, EntryErrorCode, no_such
from billing.entry.practice_facts import PracticeFacts
from billing.entry.rows import Alteration, Draft, Insertion, Operation, Stamp, Values
from billing.ledger.allocation import AmountDue, AmountsDue
from billing.ledger.balance import Account
from billing.ledger.invoices import InvoiceTotals
from billing.ledger.taking_back import Source
from models import (
    ACTIVE_STATES,
    Allocation,
    Client,
    Dispute,
    DisputeState,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Payment,
    Row,
    Session,
)

W = TypeVar("W")


@dataclass
class InvoiceRecord:
    """An invoice with its lines, its ledger rows, and the sums that it bills and that are paid."""

    values: Values
    lines: list[Values] = field(default_factory=list)
    entries: list[Values] = field(default_factory=list)
    billed: int = 0
    paid: int = 0

    @property
    def id(self) -> str:
        return str(self.values["id"])

    @property
    def number(self) -> str:
        return str(self.values["number"])

    @property
    def is_void(self) -> bool:
        return bool(self.values["is_void"])

    @property
    def due(self) -> int:
        # The ledger's expressions are operators alone: integers can take the place of columns.
        sums: Any = {"total": self.billed}, {"total": self.paid}
        totals: Any = InvoiceTotals(self.is_void, *sums)
        return int(totals.due)


@dataclass
class ClientLedger:
    """The rows of a client's account, in the order of their entry.

    `allocated` has the sums of allocations by their source; sources with nothing left keep their
    place. `unused` has the part of each payment that is neither allocated nor given back, and
    `open_invoices` the invoices with an amount due.
    """

    practice: PracticeFacts
    client: Values
    sessions: dict[str, Values] = field(default_factory=dict)
    invoices: dict[str, InvoiceRecord] = field(default_factory=dict)
    entries: list[Values] = field(default_factory=list)
    payments: dict[str, Values] = field(default_factory=dict)
    allocated: Counter[Source] = field(default_factory=Counter)
    unused: Counter[str] = field(default_factory=Counter)
    open_invoices: dict[str, InvoiceRecord] = field(default_factory=dict)
    invoiced_sessions: set[str] = field(default_factory=set)
    open_disputes: set[str] = field(default_factory=set)
    disputed_invoices: set[str] = field(default_factory=set)
    funds: int = 0
    allocated_minor: int = 0

    @property
    def id(self) -> str:
        return str(self.client["id"])

    # -- amounts -----------------------------------------------------------------------------------

    @property
    def unallocated(self) -> int:
        """Return the funds that are not put toward an invoice."""
        movements: Any = {"funds": self.funds}
        allocated: Any = {"total": self.allocated_minor}
        return int(Account(movements, allocated, {}, {}).credit)

    def amounts_due(self, *, also_disputed: bool = False) -> AmountsDue:
        """Return the amounts due, the oldest invoice first, as `allocation.owed` reads them."""
        in_order = sorted(
            self.open_invoices.values(),
            key=lambda one: (one.values["issued_on"], one.values["serial"]),
        )
        held = set() if also_disputed else self.disputed_invoices
        owed = [AmountDue(one.id, one.due) for one in in_order if one.id not in held]
        return AmountsDue(owed, self.unallocated)

    # -- rows --------------------------------------------------------------------------------------

    def invoice(
        self, invoice_id: str, *, may_be_void: bool = False, field: str = "invoice_id"
    ) -> InvoiceRecord:
        """Return an invoice of the client, which must not be void. `field` is the input that names
        it.
        """
        found = self.invoices.get(invoice_id)
        if found is None:
            raise no_such("invoice", field)
        if found.is_void and not may_be_void:
            raise EntryError(EntryErrorCode.INVOICE_IS_VOID, "The invoice is void.", field)
        return found

    def refuse_while_paying(self) -> None:
        """Refuse an entry while a payment is under way. The payment may rely on the old facts."""
        for payment in self.payments.values():
            if payment["state"] in ACTIVE_STATES:
                raise EntryError(
                    EntryErrorCode.PAYMENT_UNDER_WAY,
                    "The client is paying now: enter this once the payment has ended.",
                    row_id=payment["id"],
                )

    def apply(self, operation: Operation) -> None:
        """Add or change a row. Rows of other tables, which no rule needs, are ignored."""
        if isinstance(operation, Insertion):
            add = ADDED.get(operation.table)
            if add is not None:
                add(self, operation.values)
        elif isinstance(operation, Alteration):
            self.alter(operation)

    def alter(self, change: Alteration) -> None:
        key = change.key.get("id")
        if change.table is Client:
            self.client.update(change.values)
        elif change.table is Payment and key in self.payments:
            self.payments[key].update(change.values)
        elif change.table is Invoice:
            self.invoices[str(key)].values.update(change.values)
        elif change.table is Session:
            self.sessions[str(key)].update(change.values)
        elif change.table is InvoiceLine:
            invoice = self.invoices[change.key["invoice_id"]]
            for line in invoice.lines:
                line.update(change.values)
            self.invoiced_sessions -= {line["session_id"] for line in invoice.lines}

    def add_session(self, values: Values) -> None:
        self.sessions[values["id"]] = values

    def add_invoice(self, values: Values) -> None:
        self.invoices[values["id"]] = InvoiceRecord(values)

    def add_line(self, values: Values) -> None:
        self.invoices[values["invoice_id"]].lines.append(values)
        if values["session_id"] and not values["is_void"]:
            self.invoiced_sessions.add(values["session_id"])

    def add_entry(self, values: Values) -> None:
        self.entries.append(values)
        if values["invoice_id"] is None:
            self.funds += values["amount_minor"]
            self.use(values["payment_id"], values["amount_minor"])
            return
        invoice = self.invoices[values["invoice_id"]]
        invoice.entries.append(values)
        invoice.billed += values["amount_minor"]
        self.note_due(invoice)

    def add_allocation(self, values: Values) -> None:
        minor, invoice_id = values["amount_minor"], values["invoice_id"]
        self.invoices[invoice_id].paid += minor
        self.note_due(self.invoices[invoice_id])
        self.allocated_minor += minor
        if not values["is_credit"]:
            self.use(values["payment_id"], minor)
        self.allocated[Source(invoice_id, values["payment_id"], values["is_credit"])] += minor
        if values["dispute_id"] in self.open_disputes:
            self.disputed_invoices.add(invoice_id)

    def use(self, payment_id: str | None, minor: int) -> None:
        """Lower the unused part of a payment; the payment itself, which is negative, raises it."""
        if payment_id is not None:
            self.unused[payment_id] -= minor
            if not self.unused[payment_id]:
                del self.unused[payment_id]

    def note_due(self, invoice: InvoiceRecord) -> None:
        if invoice.due:
            self.open_invoices[invoice.id] = invoice
        else:
            self.open_invoices.pop(invoice.id, None)

    def add_payment(self, values: Values) -> None:
        self.payments[values["id"]] = values

    def add_dispute(self, values: Values) -> None:
        if values["state"] == DisputeState.OPEN:
            self.open_disputes.add(values["id"])


ClientMaker = Callable[[Draft, ClientLedger, W], str]


def enter_in_memory(
    ledger: ClientLedger, stamp: Stamp, maker: ClientMaker[W], wanted: W
) -> tuple[str, list[Operation]]:
    """Make an entry and apply it to the ledger. Return the id of its main row, and its operations.

    The ledger keeps the rows themselves: a later number or change of a row is in both.
    """
    draft = Draft(ledger.practice.id, stamp, ledger.id)
    row_id = maker(draft, ledger, wanted)
    for operation in draft.operations:
        ledger.apply(operation)
    return row_id, draft.operations


# Rows are added in this order, so that each finds the row that it refers to.
ADDED: Mapping[type[Row], Callable[[ClientLedger, Values], None]] = {
    Session: ClientLedger.add_session,
    Invoice: ClientLedger.add_invoice,
    InvoiceLine: ClientLedger.add_line,
    Payment: ClientLedger.add_payment,
    Dispute: ClientLedger.add_dispute,
    LedgerEntry: ClientLedger.add_entry,
    Allocation: ClientLedger.add_allocation,
}


async def read_client_ledger(
    conn: AsyncConnection, practice: PracticeFacts, client_id: str
) -> ClientLedger:
    """Read a client's rows. The caller has locked the client."""
    found = await read_client_ledgers(conn, practice, [client_id])
    if not found:
        raise no_such("client", "client_id")
    return found[client_id]


async def read_client_ledgers(
    conn: AsyncConnection, practice: PracticeFacts, client_ids: Sequence[str]
) -> dict[str, ClientLedger]:
    """Read the rows of several clients, by the clients' ids. The caller has locked the clients."""
    these = Client.practice_id == practice.id, Client.id.in_(client_ids)
    ledgers = {
        one["id"]: ClientLedger(practice, one) for one in await rows_of(conn, Client, *these)
    }
    owners: dict[str, str] = {}
    for table in ADDED:
        for values in await rows_of(conn, table, *of_clients(table, practice.id, client_ids)):
            if table is Invoice:
                owners[values["id"]] = values["client_id"]
            owner = owners[values["invoice_id"]] if table is InvoiceLine else values["client_id"]
            ledgers[owner].apply(Insertion(table, values))
    return ledgers


def of_clients(table: Any, practice_id: str, client_ids: Sequence[str]) -> tuple[Any, ...]:
    """Return the conditions for the rows of a table that belong to some clients."""
    if table is not InvoiceLine:
        return table.practice_id == practice_id, table.client_id.in_(client_ids)
    invoices = select(Invoice.id).where(*of_clients(Invoice, practice_id, client_ids))
    return InvoiceLine.practice_id == practice_id, InvoiceLine.invoice_id.in_(invoices)


async def rows_of(conn: AsyncConnection, table: Any, *conditions: Any) -> list[Values]:
    """Return the rows of a table, in the order of their entry."""
    everything = select(*table.__table__.c).where(*conditions)
    key = [table.__table__.c[name] for name in ("id", "position") if name in table.__table__.c]
    result = await conn.execute(everything.order_by(*key))
    return [dict(row) for row in result.mappings()]
