"""A practice's rows as its bookkeeping has them, so that every balance adds up."""

import datetime as dt
import random
import uuid
from collections import defaultdict
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from models import (
    Allocation,
    CardBrand,
    DeclineReason,
    Dispute,
    DisputeState,
    EntryKind,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Payment,
    PaymentMethod,
    PaymentMethodKind,
    PaymentState,
    Practice,
    Receipt,
    Refund,
    RefundState,
    Row,
    Session,
)
from models.row import written

Entered = dict[str, Any]
NOON = dt.time(12, tzinfo=dt.UTC)


def noon(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, NOON)


class Books:
    """The rows of one practice, with the amounts due and unused so far."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.practice_id = self.new_id()
        self.rows: defaultdict[type[Row], list[Entered]] = defaultdict(list)
        self.due: defaultdict[str, int] = defaultdict(int)
        self.credit: defaultdict[str, int] = defaultdict(int)

    def new_id(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def enter(self, model: type[Row], **columns: Any) -> Entered:
        """Insert a row, with an id if it has one, and None in the columns left out."""
        names = written(model)
        own = {"practice_id": self.practice_id, "id": self.new_id()}
        row = {name: (own | columns).get(name) for name in names}
        assert columns.keys() <= set(names)
        self.rows[model].append(row)
        return row

    def serial(self, model: type[Row]) -> int:
        return len(self.rows[model]) + 1

    def of(self, model: type[Row], **columns: Any) -> list[Entered]:
        """Return the rows with these values."""
        return [row for row in self.rows[model] if columns.items() <= row.items()]

    # -- sessions and invoices ---------------------------------------------------------------------

    def session(self, client_id: str, date: dt.date, fee: int, **columns: Any) -> Entered:
        return self.enter(Session, client_id=client_id, date=date, fee_minor=fee, **columns)

    def invoice(
        self,
        client_id: str,
        issued_on: dt.date,
        lines: list[tuple[Entered | None, int]],
        describe: Any,
        **columns: Any,
    ) -> Entered:
        """Insert an invoice of sessions and other charges, each with its amount."""
        serial = self.serial(Invoice)
        total = sum(amount for _, amount in lines)
        invoice = self.enter(
            Invoice,
            client_id=client_id,
            issued_on=issued_on,
            total_minor=total,
            serial=serial,
            number=f"INV-2026-{serial:04}",
            is_void=False,
            **columns,
        )
        for position, (session, amount) in enumerate(lines, 1):
            self.line(invoice, position, session, amount, describe)
        self.due[invoice["id"]] = total
        if total < 0:
            # A negative total is credit from now on.
            self.allocate(invoice, total, issued_on)
        return invoice

    def line(
        self, invoice: Entered, position: int, session: Entered | None, amount: int, describe: Any
    ) -> None:
        quantity = self.chance.choice([100, 100, 200, 25, 1, 123456])
        date = session["date"] if session else self.chance.choice([None, invoice["issued_on"]])
        self.enter(
            InvoiceLine,
            invoice_id=invoice["id"],
            position=position,
            session_id=session and session["id"],
            date=date,
            description=describe(),
            service_code=self.chance.choice([None, "90834"]),
            quantity_hundredths=quantity,
            unit_price_minor=amount * 100 // quantity,
            amount_minor=amount,
            is_void=False,
        )
        kind = EntryKind.SESSION if session else EntryKind.CHARGE
        of = {"invoice_id": invoice["id"], "session_id": session and session["id"]}
        day = session["date"] if session else invoice["issued_on"]
        reference, posted_on = f"line {position}", invoice["issued_on"]
        self.move(invoice["client_id"], kind, amount, day, reference, describe(), **of,
                  posted_on=posted_on)  # fmt: skip

    def move(
        self,
        client_id: str,
        kind: EntryKind,
        amount: int,
        date: dt.date,
        reference: str,
        description: str,
        **columns: Any,
    ) -> Entered:
        """Insert a ledger entry."""
        return self.enter(
            LedgerEntry,
            client_id=client_id,
            kind=kind,
            amount_minor=amount,
            date=date,
            posted_on=columns.pop("posted_on", date),
            reference=reference,
            description=description,
            created_at=noon(date),
            **columns,
        )

    def correct(self, invoice: Entered, kind: EntryKind, amount: int, date: dt.date) -> None:
        """Insert a write-off or an adjustment of an invoice, without making its due amount
        negative.
        """
        self.due[invoice["id"]] += amount
        assert self.due[invoice["id"]] >= 0
        reference = f"correction {len(self.of(LedgerEntry, invoice_id=invoice['id']))}"
        of = {"invoice_id": invoice["id"]}
        self.move(invoice["client_id"], kind, amount, date, reference, "Corrected", **of)

    def void(self, invoice: Entered, date: dt.date) -> None:
        """Void an invoice: reverse its entries, and return its allocations to credit."""
        date = max(date, invoice["issued_on"])
        for number, row in enumerate(self.of(LedgerEntry, invoice_id=invoice["id"]), 1):
            of = {name: row[name] for name in ("invoice_id", "session_id")}
            reversed_ = -row["amount_minor"]
            self.move(
                row["client_id"], row["kind"], reversed_, date, f"void {number}", "Void", **of
            )
        for put in self.of(Allocation, invoice_id=invoice["id"]):
            self.allocate(invoice, -put["amount_minor"], date, put["payment_id"])
        invoice.update(is_void=True, voided_on=date)
        for line in self.of(InvoiceLine, invoice_id=invoice["id"]):
            line["is_void"] = True
        self.due[invoice["id"]] = 0

    # -- payments and refunds ----------------------------------------------------------------------

    def give_credit(self, client_id: str, amount: int, date: dt.date) -> None:
        """Grant credit; a negative amount takes some back."""
        self.credit[client_id] += amount
        assert self.credit[client_id] >= 0
        reference = f"credit {self.serial(LedgerEntry)}"
        self.move(client_id, EntryKind.CREDIT, -amount, date, reference, "Credit")

    def allocate(
        self,
        invoice: Entered,
        amount: int,
        date: dt.date,
        payment_id: str | None = None,
        **reversal: str | None,
    ) -> None:
        """Allocate credit to an invoice; a negative amount takes some back."""
        self.due[invoice["id"]] -= amount
        self.credit[invoice["client_id"]] -= amount
        self.enter(
            Allocation,
            client_id=invoice["client_id"],
            invoice_id=invoice["id"],
            payment_id=payment_id,
            **reversal,
            is_credit=payment_id is None,
            amount_minor=amount,
            date=date,
            created_at=noon(date),
        )

    def attempt(self, client_id: str, amount: int, date: dt.date, state: PaymentState) -> Entered:
        """Insert a payment, which has no ledger entry unless it succeeds."""
        failed, paid = state is PaymentState.FAILED, state is PaymentState.SUCCEEDED
        number, reasons = self.serial(Payment), list(DeclineReason)
        methods = [PaymentMethodKind.CARD, PaymentMethodKind.CARD, *PaymentMethodKind]
        method = methods[number % len(methods)] if paid else PaymentMethodKind.CARD
        has_card = method is PaymentMethodKind.CARD and state is not PaymentState.CREATED
        # A payment that was declined first and then canceled keeps the reason.
        declined = failed or state is PaymentState.CANCELED
        return self.enter(
            Payment,
            client_id=client_id,
            method=method,
            state=state,
            amount_minor=amount,
            card_brand=list(CardBrand)[number % len(CardBrand)] if has_card else None,
            card_last4=f"{number:04}" if has_card else None,
            processor_fee_minor=number if has_card and paid and number % 3 else None,
            failure_reason=reasons[number % len(reasons)] if declined else None,
            created_at=noon(date),
            created_on=date,
            paid_at=noon(date) if paid else None,
        )

    def pay(self, client_id: str, amount: int, date: dt.date) -> Entered:
        """Insert a succeeded payment; all of it is unused credit at first."""
        payment = self.attempt(client_id, amount, date, PaymentState.SUCCEEDED)
        of = {"payment_id": payment["id"]}
        self.credit[client_id] += amount
        self.move(client_id, EntryKind.PAYMENT, -amount, date, payment["id"], "Card", **of)
        serial = self.serial(Receipt)
        self.enter(
            Receipt,
            client_id=client_id,
            number=f"RCP-{serial}",
            serial=serial,
            amount_minor=amount,
            issued_at=noon(date),
            issued_on=date,
            **of,
        )
        return payment

    def refund(self, payment: Entered, amount: int, date: dt.date) -> None:
        """Refund a payment: from its allocations, the last first, and the rest from credit."""
        invoices = {row["id"]: row for row in self.rows[Invoice]}
        left, made = amount, self.refund_by_card(payment, amount, date)
        for put in reversed(self.of(Allocation, payment_id=payment["id"])):
            taken = min(left, put["amount_minor"])
            if taken > 0 and not invoices[put["invoice_id"]]["is_void"]:
                invoice = invoices[put["invoice_id"]]
                self.allocate(invoice, -taken, date, payment["id"], refund_id=made)
                left -= taken
        self.credit[payment["client_id"]] -= amount
        assert self.credit[payment["client_id"]] >= 0
        refunds = self.of(LedgerEntry, payment_id=payment["id"], kind=EntryKind.REFUND)
        reference, of = f"{payment['id']} {len(refunds)}", {"payment_id": payment["id"]}
        client_id = payment["client_id"]
        self.move(client_id, EntryKind.REFUND, amount, date, reference, "Refund", **of)

    def refund_by_card(self, payment: Entered, amount: int, date: dt.date) -> str | None:
        """Insert the refund's own row, and return its id; None if it was not by card."""
        if payment["method"] is not PaymentMethodKind.CARD:
            return None
        refund = self.enter(
            Refund,
            client_id=payment["client_id"],
            payment_id=payment["id"],
            amount_minor=amount,
            state=RefundState.SUCCEEDED,
            stripe_account=self.account,
            stripe_id=f"re_{self.serial(Refund)}",
            refunded_at=noon(date),
            created_at=noon(date),
            changed_at=noon(date),
        )
        return str(refund["id"])

    def dispute(
        self, payment: Entered, invoice: Entered, amount: int, date: dt.date, state: DisputeState
    ) -> None:
        """Let the bank take back a payment's allocation to an invoice, and perhaps return it."""
        client_id, stripe_id = payment["client_id"], f"du_{self.serial(Dispute)}"
        of = {"client_id": client_id, "payment_id": payment["id"]}
        times = {"created_at": noon(date), "changed_at": noon(date), "disputed_at": noon(date)}
        facts = {"amount_minor": amount, "state": state}
        at_stripe = {"stripe_account": self.account, "stripe_id": stripe_id}
        made = self.enter(Dispute, **of, **times, **facts, **at_stripe)
        taken = [amount] if state is not DisputeState.WON else [amount, -amount]
        for number, moved in enumerate(taken):
            reference = f"{stripe_id} {number}"
            self.credit[client_id] -= moved
            self.move(client_id, EntryKind.DISPUTE, moved, date, reference, "Disputed",
                      payment_id=payment["id"], dispute_id=made["id"])  # fmt: skip
            self.allocate(invoice, -moved, date, payment["id"], dispute_id=made["id"])

    @property
    def account(self) -> str:
        """Return the practice's account at Stripe, or its former one."""
        return next((row["stripe_account"] for row in self.rows[Practice]), None) or "acct_former"

    def card(
        self, client_id: str, added_at: dt.datetime, month: tuple[int, int], **columns: Any
    ) -> Entered:
        number = self.serial(PaymentMethod)
        return self.enter(
            PaymentMethod,
            client_id=client_id,
            stripe_account=self.account,
            stripe_id=f"pm_{number}",
            revision=0,
            fingerprint=f"fingerprint {number}",
            brand=self.chance.choice(list(CardBrand)),
            last4=f"{number:04}",
            exp_year=month[0],
            exp_month=month[1],
            added_at=added_at,
            consent_version="1",
            consented_at=added_at,
            **{"is_shared": False} | columns,
        )

    def hand_over(self, payment: Entered, contact_id: str) -> None:
        """Make a contact the payer of a payment, and of its receipt."""
        payment["contact_id"] = contact_id
        for receipt in self.of(Receipt, payment_id=payment["id"]):
            receipt["contact_id"] = contact_id


async def load(engine: AsyncEngine, rows: dict[type[Row], list[Entered]]) -> None:
    """Make the tables and fill them, referenced rows first."""
    by_table = {model.__table__: entered for model, entered in rows.items() if entered}
    async with engine.begin() as conn:
        for table in Row.metadata.sorted_tables:
            if table in by_table:
                await conn.execute(insert(table), by_table[table])
