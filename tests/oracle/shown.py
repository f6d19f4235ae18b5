"""The types of the contract, each made of a row: a field is an attribute, or else a column."""

from typing import Any

import models
from tests.oracle import history, money
from tests.oracle.money import DIGITS
from tests.oracle.pages import ID, Connection, Order, day, identifier
from tests.oracle.scalars import decimal
from tests.oracle.world import World, by_id, refusal

# -- orders ----------------------------------------------------------------------------------------

NEVER = day("9999-12-31")
ISSUED = Order("invoice-issued", lambda invoice: (invoice.issued_on, invoice.serial), (day, int))
DUE = Order("invoice-due", lambda invoice: (invoice.due_on or NEVER, invoice.serial), (day, int))
NUMBER = Order("invoice-number", lambda invoice: (invoice.serial,), (int,))
INVOICES = {"ISSUED_ON": ISSUED, "DUE_ON": DUE, "NUMBER": NUMBER}
STATEMENTS = Order("statement", lambda document: (document.issued_on, document.serial), (day, int))
SUPERBILLS = Order("superbill", lambda document: (document.issued_on, document.serial), (day, int))
HISTORY = Order("history", lambda entry: (entry.date, entry.id), (day, identifier))
ORDERS = (*INVOICES.values(), STATEMENTS, SUPERBILLS, HISTORY)


class Shown:
    """A row under a type's name. Columns of money are read without their `_minor`."""

    prefix = ""

    def __init__(self, world: World, row: Any) -> None:
        self.world, self.row = world, row

    def __getattr__(self, name: str) -> Any:
        return getattr(self.row, f"{name}_minor" if hasattr(self.row, f"{name}_minor") else name)

    @property
    def id(self) -> str:
        return f"{self.prefix}_{self.row.id}"

    @property
    def practice(self) -> "Practice":
        return Practice(self.world, self.world.practice)

    @property
    def client(self) -> "Client":
        return Client(self.world, self.world.by_id(models.Client, self.row.client_id))

    @property
    def clinician(self) -> "Clinician | None":
        found = self.world.by_id(models.Clinician, self.row.clinician_id)
        return Clinician(self.world, found) if found else None

    @property
    def provider(self) -> "Provider":
        return Provider(self.world, self.world.by_id(models.Letterhead, self.row.letterhead_id))

    @property
    def address(self) -> "Address | None":
        return None if self.row.address_line1 is None else Address(self.world, self.row)

    @property
    def session(self) -> "Session | None":
        found = self.world.by_id(models.Session, self.row.session_id)
        seen = found and self.world.opens(found.client_id)
        return Session(self.world, found) if seen else None

    def parts(self, model: type[models.Row], shown: type["Shown"], **columns: Any) -> list[Any]:
        """The rows that a document is made of, in their order on paper."""
        rows = sorted(self.world.where(model, **columns), key=lambda row: row.position)
        return [shown(self.world, row) for row in rows]


# -- roots -----------------------------------------------------------------------------------------


class Query(Shown):
    @property
    def viewer(self) -> "Viewer":
        return Viewer(self.world, self.world.token)

    def client(self, id: str | None) -> "Client | None":  # type: ignore[override]
        if id is None:
            return Client(self.world, self.only_client())
        kind, _, bare = id.partition("_")
        if kind != "cli" or not ID.fullmatch(bare):
            raise refusal("BAD_ID")
        found = [client for client in self.world.clients() if client.id == bare]
        return Client(self.world, found[0]) if found else None

    def only_client(self) -> Any:
        seen = self.world.clients()
        if self.world.token.kind is models.ViewerKind.DASHBOARD or len(seen) != 1:
            raise refusal("CLIENT_REQUIRED")
        return seen[0]


class Viewer(Shown):
    @property
    def person(self) -> Any:
        if self.row.kind is models.ViewerKind.CLIENT:
            return self.world.by_id(models.Client, self.row.client_id)
        return self.world.by_id(models.Contact, self.row.contact_id)

    @property
    def name(self) -> str:
        return str((self.person or self.row).name)

    @property
    def email(self) -> str | None:
        return self.person.email if self.person else None

    @property
    def scopes(self) -> list[str]:
        return sorted(self.row.scopes)

    @property
    def clients(self) -> list["Client"]:
        if self.row.kind is models.ViewerKind.DASHBOARD:
            return []
        return [Client(self.world, client) for client in by_id(self.world.clients())]


class Practice(Shown):
    prefix = "pra"

    @property
    def clinicians(self) -> list["Clinician"]:
        return [Clinician(self.world, row) for row in by_id(self.world.where(models.Clinician))]


# -- parts of other things -------------------------------------------------------------------------


class Money:
    def __init__(self, world: World, minor: int) -> None:
        self.minor_units, self.currency = minor, world.practice.currency
        self.amount = decimal(minor, DIGITS[self.currency])


class Address(Shown):
    def __getattr__(self, name: str) -> Any:
        return getattr(self.row, f"address_{name}")


class Clinician(Shown):
    prefix = "cln"


class Provider(Shown):
    pass


class Permission:
    def __init__(self, reason: str | None) -> None:
        self.is_allowed, self.reason = reason is None, reason


class BalanceTerm(Shown):
    @property
    def kind(self) -> str:
        return str(self.row[0])

    @property
    def amount(self) -> int:
        return int(self.row[1])


class Balance(Shown):
    """Of a client's row."""

    @property
    def amount(self) -> int:
        return money.balance(self.world, self.row.id)

    @property
    def payable(self) -> int:
        return money.payable(self.world, self.row.id, money.all_due(self.world, self.row.id))

    @property
    def terms(self) -> list[BalanceTerm]:
        terms = money.terms(self.world, self.row.id)
        return [BalanceTerm(self.world, term) for term in terms]

    @property
    def uninvoiced(self) -> int:
        return sum(session.fee_minor for session in money.uninvoiced(self.world, self.row.id))


# -- a client and what is theirs -------------------------------------------------------------------


class Client(Shown):
    prefix = "cli"

    @property
    def balance(self) -> Balance:
        return Balance(self.world, self.row)

    @property
    def can_pay(self) -> Permission:
        return Permission(money.why_not_pay(self.world, self.row.id))

    @property
    def can_add_card(self) -> Permission:
        return Permission(money.why_no_card(self.world, self.row.id))

    @property
    def payment_methods(self) -> list["PaymentMethod"]:
        rows = self.world.where(models.PaymentMethod, client_id=self.row.id, removed_at=None)
        rows = sorted(rows, key=lambda r: (r.is_default, r.added_at, r.id), reverse=True)
        return [PaymentMethod(self.world, row) for row in rows]

    @property
    def default_payment_method(self) -> "PaymentMethod | None":
        return next((card for card in self.payment_methods if card.row.is_default), None)

    def invoices(
        self, date_range: Any, status: Any, past_due: bool | None, order_by: Any, **page: Any
    ) -> Connection:
        order = ordered(order_by)
        within = overlapping(date_range)
        found = [
            invoice
            for invoice in self.documents(models.Invoice, Invoice)
            if within(invoice.issued_on, invoice.issued_on)
            and (status is None or invoice.status in status)
            and past_due in (None, invoice.is_past_due)
        ]
        return Connection(self.world, found, order, **page)

    def statements(self, date_range: Any, **page: Any) -> Connection:
        return self.of_period(models.Statement, Statement, STATEMENTS, date_range, page)

    def superbills(self, date_range: Any, **page: Any) -> Connection:
        return self.of_period(models.Superbill, Superbill, SUPERBILLS, date_range, page)

    def account_history(self, date_range: Any, kind: Any, **page: Any) -> Connection:
        if date_range is None:
            date_range = {"gte": self.world.today.fromordinal(self.world.today.toordinal() - 30)}
        within = overlapping(date_range)
        found = [
            AccountHistoryEntry(self.world, entry)
            for entry in history.entries(self.world, self.row.id)
            if within(entry.date, entry.date) and (kind is None or entry.kind.value in kind)
        ]
        return Connection(self.world, found, BY_ROW, **page)

    def documents(self, model: type[models.Row], shown: Any) -> list[Any]:
        rows = self.world.where(model, client_id=self.row.id)
        return [shown(self.world, row) for row in rows if self.world.reads(row)]

    def of_period(
        self, model: type[models.Row], shown: Any, order: Order, date_range: Any, page: Any
    ) -> Connection:
        within = overlapping(date_range)
        documents = self.documents(model, shown)
        found = [one for one in documents if within(one.period_start, one.period_end)]
        return Connection(self.world, found, order, **page)


# An entry is shown with its kind's prefix before its id, but ordered without it.
BY_ROW = Order("history", lambda entry: HISTORY.keys(entry.row), HISTORY.types)


def ordered(order_by: Any) -> Order:
    chosen = order_by or {}
    order = INVOICES[chosen.get("field", "ISSUED_ON")]
    return Order(order.name, order.keys, order.types, chosen.get("direction", "DESC") == "DESC")


def overlapping(date_range: Any) -> Any:
    """Whether at least a day of a period is in the range."""
    first, last = (date_range or {}).get("gte"), (date_range or {}).get("lte")
    if first is not None and last is not None and first > last:
        raise refusal("BAD_RANGE")
    return lambda start, end: (first is None or first <= end) and (last is None or start <= last)


class Session(Shown):
    prefix = "ses"


class PaymentMethod(Shown):
    prefix = "crd"

    @property
    def months_left(self) -> int:
        """From this month to the last in which it works."""
        today = self.world.today
        return int((self.row.exp_year - today.year) * 12 + self.row.exp_month - today.month)

    @property
    def is_expired(self) -> bool:
        return self.months_left < 0

    @property
    def expires_soon(self) -> bool:
        return self.months_left in (0, 1)


class Invoice(Shown):
    prefix = "inv"

    @property
    def status(self) -> str:
        return money.status(self.world, self.row)

    @property
    def is_past_due(self) -> bool:
        return money.is_past_due(self.world, self.row)

    @property
    def amount_paid(self) -> int:
        return money.paid(self.world, self.row)

    @property
    def amount_due(self) -> int:
        return money.due(self.world, self.row)

    @property
    def payable(self) -> int:
        return money.payable(self.world, self.row.client_id, self.amount_due)

    @property
    def lines(self) -> list["InvoiceLine"]:
        return self.parts(models.InvoiceLine, InvoiceLine, invoice_id=self.row.id)


class InvoiceLine(Shown):
    @property
    def quantity(self) -> str:
        return decimal(self.row.quantity_hundredths, 2)


class AccountHistoryEntry(Shown):
    prefix = "aht"

    @property
    def balance_after(self) -> int:
        return history.balance_after(self.world, self.row)

    @property
    def invoice(self) -> Invoice | None:
        found = self.world.by_id(models.Invoice, self.row.invoice_id)
        return Invoice(self.world, found) if found and self.world.reads(found) else None


class Statement(Shown):
    prefix = "stm"

    @property
    def beginning_balance(self) -> int:
        return int(self.row.beginning_minor)

    @property
    def total_invoiced(self) -> int:
        return int(self.row.invoiced_minor)

    @property
    def total_paid(self) -> int:
        return int(self.row.paid_minor)

    @property
    def ending_balance(self) -> int:
        return int(self.row.ending_minor)

    @property
    def lines(self) -> list["StatementLine"]:
        return self.parts(models.StatementLine, StatementLine, statement_id=self.row.id)


class StatementLine(Shown):
    pass


class Superbill(Shown):
    prefix = "sbl"

    @property
    def lines(self) -> list["SuperbillLine"]:
        return self.parts(models.SuperbillLine, SuperbillLine, superbill_id=self.row.id)

    @property
    def diagnoses(self) -> list["Diagnosis"]:
        return self.parts(models.SuperbillDiagnosis, Diagnosis, superbill_id=self.row.id)

    @property
    def total_fee(self) -> int:
        return sum(line.row.fee_minor for line in self.lines)

    @property
    def total_paid(self) -> int:
        return sum(line.row.paid_minor for line in self.lines)


class SuperbillLine(Shown):
    @property
    def units(self) -> str:
        return decimal(self.row.units_hundredths, 2)


class Diagnosis(Shown):
    pass
