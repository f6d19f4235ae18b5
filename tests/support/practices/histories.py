"""Histories of clients: sessions, invoices, payments and documents, random or one of each."""

import datetime as dt
from typing import Any

from models import (
    Claim,
    DisputeState,
    EntryKind,
    Invoice,
    InvoiceLine,
    PaymentMethodKind,
    PaymentState,
    Row,
    Session,
    Statement,
    StatementLine,
    Superbill,
    SuperbillDiagnosis,
    SuperbillLine,
)
from tests.support.practices.bookkeeping import Books, Entered, noon
from tests.support.practices.random_values import MOMENT, MONTHS, TODAY, Draws

STATES = (PaymentState.FAILED, PaymentState.CANCELED, PaymentState.FAILED)


class Lives(Draws):
    """Writer of the history of a practice's clients."""

    def __init__(self, books: Books, clinicians: list[Any], letterheads: list[str]) -> None:
        super().__init__(books.chance)
        self.books, self.clinicians, self.letterheads = books, clinicians, letterheads

    def nothing(self, client_id: str) -> None:
        """Leave the client without any history."""

    def sessions_only(self, client_id: str) -> None:
        for _ in range(4):
            self.session(client_id)

    def credit_only(self, client_id: str) -> None:
        for amount in (700, -99, 55):
            self.books.give_credit(client_id, amount, self.day())
        self.cards(client_id, 1)

    def small_sum(self, client_id: str) -> None:
        """Make less due than can be charged to a card."""
        self.invoice(client_id, [(None, 45)], shared_at=MOMENT, due_on=TODAY)
        self.cards(client_id, 2)

    def one_of_each(self, client_id: str) -> None:
        """Insert an invoice of every status, each shared and of yesterday, and a
        payment under way.
        """
        books, shared = self.books, {"shared_at": MOMENT, "due_on": TODAY - dt.timedelta(days=1)}
        paid, part, void, written, by_cash = (
            self.invoice(client_id, [(self.session(client_id, 300), 300), (None, 100)], **shared)
            for _ in range(5)
        )
        payment = books.pay(client_id, 1000, TODAY)
        for invoice, amount in ((paid, 400), (part, 150), (void, 400)):
            books.allocate(invoice, amount, TODAY, payment["id"])
        books.void(void, TODAY)
        books.correct(written, EntryKind.WRITE_OFF, -400, TODAY)
        books.correct(part, EntryKind.ADJUSTMENT, 25, TODAY)
        books.refund(payment, 100, TODAY)
        books.dispute(payment, part, 40, TODAY, DisputeState.LOST)
        books.dispute(payment, paid, 200, TODAY, DisputeState.OPEN)
        # A refund by other means than a card has no row of its own.
        by_cash["clinician_id"] = self.clinicians[-1]
        cash = books.pay(client_id, 90, TODAY)
        cash.update(method=PaymentMethodKind.CASH, card_brand=None, card_last4=None)
        books.allocate(by_cash, 90, TODAY, cash["id"])
        books.refund(cash, 40, TODAY)
        whole = books.pay(client_id, 70, TODAY)
        books.refund(whole, 70, TODAY)
        self.invoice(client_id, [(None, -80)], **shared)
        pending = books.attempt(client_id, 50, TODAY, PaymentState.PROCESSING)
        self.books.enter(Claim, client_id=client_id, payment_id=pending["id"],
                         invoice_id=part["id"], amount_minor=50)  # fmt: skip
        self.documents(client_id, 2)
        self.whole_superbill(client_id)
        self.cards(client_id, 4)

    def everything(self, client_id: str) -> None:
        """Insert random rows of every kind."""
        for _ in range(6):
            self.session(client_id)
        for _ in range(9):
            sessions = [self.session(client_id) for _ in range(self.chance.randrange(3))]
            lines: list[Any] = [(session, session["fee_minor"]) for session in sessions]
            lines += [(None, self.amount(signed=True)) for _ in range(self.chance.randrange(3))]
            self.invoice(client_id, lines)
        for _ in range(25):
            self.happening(client_id)
        for state in STATES:
            self.books.attempt(client_id, self.amount(), self.day(), state)
        self.documents(client_id, 5)
        self.cards(client_id, 6)

    def happening(self, client_id: str) -> None:
        books, day = self.books, self.day()
        invoice = self.chance.choice(books.of(Invoice, client_id=client_id, is_void=False))
        due, credit = books.due[invoice["id"]], books.credit[client_id]
        put = min(due, credit, self.chance.choice([due, 100]))
        match self.chance.choice(["pay", "pay", "credit", "put", "put", "put", "correct", "void"]):
            case "pay":
                self.paid(client_id, invoice, self.amount() + 1)
            case "credit":
                books.give_credit(client_id, self.amount(), day)
            case "put" if put > 0:
                books.allocate(invoice, put, day)
            case "correct":
                kind = self.chance.choice([EntryKind.ADJUSTMENT, EntryKind.WRITE_OFF])
                books.correct(invoice, kind, self.chance.choice([-due, -(due // 2), 30]), day)
            case "void" if len(books.of(Invoice, client_id=client_id, is_void=True)) < 3:
                self.voided(invoice, day)

    def paid(self, client_id: str, invoice: Entered, amount: int) -> None:
        """Insert a payment, allocate it to an invoice as far as possible, and refund it
        at random.
        """
        payment = self.books.pay(client_id, amount, self.day())
        if put := min(amount, self.books.due[invoice["id"]]):
            self.books.allocate(invoice, put, self.day(), payment["id"])
        back = self.chance.choice([0, 0, amount // 2, amount])
        if back and self.books.credit[client_id] + put >= back:
            self.books.refund(payment, back, self.day())
        elif put and self.chance.random() < 0.2:
            state = self.chance.choice(list(DisputeState))
            self.books.dispute(payment, invoice, put, self.day(), state)

    def voided(self, invoice: Entered, day: dt.date) -> None:
        """Void an invoice, and put some of its sessions on a new one."""
        if self.books.credit[invoice["client_id"]] + min(0, invoice["total_minor"]) < 0:
            return  # The credit of the negative invoice is spent.
        self.books.void(invoice, day)
        sessions = {row["id"]: row for row in self.books.of(Session)}
        on_it = self.books.of(InvoiceLine, invoice_id=invoice["id"])
        again = [sessions[line["session_id"]] for line in on_it if line["session_id"]][:1]
        if again:
            self.invoice(invoice["client_id"], [(one, one["fee_minor"]) for one in again])

    # -- parts -------------------------------------------------------------------------------------

    def session(self, client_id: str, fee: int | None = None) -> Entered:
        return self.books.session(
            client_id,
            self.day(),
            self.amount() if fee is None else fee,
            clinician_id=self.chance.choice(self.clinicians),
            starts_at=self.maybe(MOMENT),
            duration_minutes=self.maybe(50),
            description=self.text(),
            service_code=self.maybe("90837"),
        )

    def invoice(self, client_id: str, lines: list[Any], **columns: Any) -> Entered:
        issued_on = self.day()
        days = dt.timedelta(days=self.chance.choice([0, 1, 30, 60]))
        given = {"shared_at": self.shared(), "due_on": self.maybe(issued_on + days)} | columns
        return self.books.invoice(
            client_id,
            issued_on,
            lines,
            self.text,
            client_name=self.text(),
            clinician_id=self.chance.choice(self.clinicians),
            letterhead_id=self.chance.choice(self.letterheads),
            notes=self.maybe(self.text()),
            **given,
        )

    def cards(self, client_id: str, count: int) -> None:
        """Insert cards: of several, the first is removed and the last is the default."""
        for number, month in zip(range(count), MONTHS, strict=False):
            self.books.card(
                client_id,
                MOMENT + dt.timedelta(days=self.chance.choice([0, 0, 1])),
                month,
                is_default=number == count - 1,
                removed_at=noon(TODAY) if count > 2 and number == 0 else None,
                cardholder_name=self.maybe(self.text()),
                billing_zip=self.maybe("01234"),
            )

    def documents(self, client_id: str, count: int) -> None:
        for _ in range(count):
            self.statement(client_id, self.chance.randrange(4))
            self.superbill(client_id, self.chance.randrange(4))

    def frozen(self, client_id: str, model: type[Row], letters: str) -> dict[str, Any]:
        start, serial = self.day(), self.books.serial(model)
        return {
            "client_id": client_id,
            "letterhead_id": self.chance.choice(self.letterheads),
            "client_name": self.text(),
            "serial": serial,
            "number": f"{letters}-2026-{serial:04}",
            "issued_on": self.day(),
            "period_start": start,
            "period_end": start + dt.timedelta(days=self.chance.choice([0, 5, 30])),
            "shared_at": self.shared(),
        }

    def statement(self, client_id: str, lines: int) -> None:
        begins, invoiced, paid = (self.amount(signed=True) for _ in range(3))
        statement = self.books.enter(
            Statement,
            beginning_minor=begins,
            invoiced_minor=invoiced,
            paid_minor=paid,
            ending_minor=begins + invoiced - paid,
            **self.frozen(client_id, Statement, "STM"),
        )
        for position in range(lines):
            self.books.enter(
                StatementLine,
                statement_id=statement["id"],
                position=position,
                date=self.day(),
                description=self.text(),
                invoice_number=self.maybe("INV-1"),
                invoiced_minor=self.amount(),
                paid_minor=self.amount(),
                balance_after_minor=self.amount(signed=True),
            )

    def superbill(self, client_id: str, lines: int) -> None:
        superbill = self.books.enter(
            Superbill,
            client_date_of_birth=self.maybe(dt.date(1987, 2, 28)),
            rendering_letterhead_id=self.maybe(self.chance.choice(self.letterheads)),
            **self.address(),
            **self.frozen(client_id, Superbill, "SB"),
        )
        sessions = self.books.of(Session, client_id=client_id)
        for position in range(lines):
            self.books.enter(
                SuperbillLine,
                superbill_id=superbill["id"],
                position=position,
                session_id=self.maybe(self.chance.choice(sessions)["id"]),
                date=self.day(),
                place_of_service=self.maybe("10"),
                cpt_code=self.maybe("90837"),
                modifiers=self.chance.choice([[], ["95"], ["95", "GT"], ["GQ", "25", "59"]]),
                units_hundredths=self.chance.choice([1, 100, 150]),
                diagnosis_pointers=self.chance.choice([[], [1], [2, 1]]),
                fee_minor=self.amount(),
                paid_minor=self.amount(),
            )
            self.books.enter(
                SuperbillDiagnosis,
                superbill_id=superbill["id"],
                position=position,
                code="F41.1",
                description=self.maybe(self.text()),
            )

    def whole_superbill(self, client_id: str) -> None:
        """Insert a superbill that an insurer can process."""
        self.superbill(client_id, 2)
        (*_, superbill) = self.books.of(Superbill)
        address = {"line1": "2 Main St", "city": "Albany", "postal_code": "1", "country": "US"}
        superbill.update(
            letterhead_id=self.letterheads[-1],
            rendering_letterhead_id=None,
            client_date_of_birth=dt.date(1987, 2, 28),
            shared_at=MOMENT,
            **{f"address_{name}": value for name, value in address.items()},
        )
        for line in self.books.of(SuperbillLine, superbill_id=superbill["id"]):
            line.update(cpt_code="90837", place_of_service="11")
