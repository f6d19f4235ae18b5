"""A client's account, kept by the rules of the ledger: each action writes its rows.

Money without an invoice (payments, credits, refunds) is a pool, from which allocations pay
invoices. `credit` is the unallocated part of the pool.
"""

import datetime as dt
from typing import Any

from demo.bills import Bill, Item, Movement
from demo.books import Books
from demo.entries import Chance
from demo.office import Office, Service
from models import (
    Claim,
    Client,
    ClientNamePart,
    DeclineReason,
    EntryKind,
    Invoice,
    InvoiceLine,
    Payment,
    PaymentMethod,
    PaymentMethodKind,
    PaymentState,
    Receipt,
    Session,
    StripeCustomer,
)
from models.names import fold_name, name_parts

SAID = {
    PaymentMethodKind.CASH: "cash",
    PaymentMethodKind.CHECK: "check",
    PaymentMethodKind.BANK_TRANSFER: "bank transfer",
}


class ClientAccount(Books):
    """The account of a client, and the actions on it. `credit` is the unallocated part
    of the pool.
    """

    def __init__(self, office: Office, chance: Chance, at: dt.datetime, **client: Any) -> None:
        super().__init__(office, chance, at)
        self.sessions: list[dict[str, Any]] = []
        self.unbilled: list[Item] = []
        self.bills: list[Bill] = []
        self.cards: list[dict[str, Any]] = []
        self.payments: list[dict[str, Any]] = []
        self.movements: list[Movement] = []
        self.credit = 0
        self.refunds: dict[str, list[int]] = {}
        name = fold_name(client["name"])
        self.client = self.write(
            Client, id=self.client["id"], created_at=at, folded_name=name, **client
        )
        for part in name_parts(self.client):
            self.write(ClientNamePart, **part)
        if office.takes_cards:
            customer = f"cus_sandbox_{chance.digits(14)}"
            self.write(
                StripeCustomer,
                stripe_id=customer,
                created_at=at,
                stripe_account=self.stripe_account,
            )

    @property
    def stripe_account(self) -> str:
        return str(self.office.facts["stripe_account"])

    def keep(self, card: dict[str, Any]) -> None:
        """Put a card on file. The first card is the default."""
        self.cards.append(
            self.write(
                PaymentMethod,
                stripe_account=self.stripe_account,
                stripe_id=f"pm_sandbox_{self.chance.digits(16)}",
                fingerprint=f"sandbox-{self.chance.digits(12)}",
                is_default=not self.cards,
                added_at=self.at,
                consent_version="2024-01",
                consented_at=self.at,
                revision=0,
                **card,
            )
        )

    # -- amounts owed ------------------------------------------------------------------------------

    def attend(self, service: Service, starts_at: dt.datetime) -> None:
        """Hold a session. A later invoice will contain it."""
        # The row is written when the session is over.
        self.at += dt.timedelta(minutes=service.minutes)
        session = self.write(
            Session,
            clinician_id=self.client["clinician_id"],
            date=self.today,
            starts_at=starts_at,
            duration_minutes=service.minutes,
            description=service.description,
            service_code=service.code,
            fee_minor=service.fee_minor,
        )
        self.sessions.append(session)
        self.unbilled.append(
            Item(service.description, service.fee_minor, self.today, service.code, session["id"])
        )

    def charge(self, description: str, amount: int, date: dt.date | None = None) -> None:
        """Add an item other than a session to the next invoice."""
        self.unbilled.append(Item(description, amount, date))

    def issue(
        self,
        items: list[Item],
        due_on: dt.date | None,
        *,
        notes: str | None = None,
        is_shared: bool = True,
        voided_on: dt.date | None = None,
    ) -> Bill:
        """Issue an invoice. A later void is known in advance, because rows are written
        only once.
        """
        total = sum(item.amount for item in items)
        facts = self.write(
            Invoice,
            clinician_id=self.client["clinician_id"],
            letterhead_id=self.office.letterhead_id,
            client_name=self.client["name"],
            issued_on=self.today,
            due_on=due_on,
            total_minor=total,
            notes=notes,
            is_void=voided_on is not None,
            voided_on=voided_on,
            shared_at=self.at if is_shared else None,
        )
        bill = Bill(facts, items, total)
        self.bills.append(bill)
        self.write_lines(bill)
        self.movements.append(Movement(self.today, "Invoice", bill, invoiced=total))
        if total < 0:
            # A negative invoice is credit: an allocation takes the missing amount from it.
            self.put(bill, total, None, is_credit=True)
            self.credit -= total
        return bill

    def write_lines(self, bill: Bill) -> None:
        for position, item in enumerate(bill.items, 1):
            self.write(
                InvoiceLine,
                invoice_id=bill.id,
                position=position,
                session_id=item.session_id,
                date=item.date,
                description=item.description,
                service_code=item.code,
                quantity_hundredths=100,
                unit_price_minor=item.amount,
                amount_minor=item.amount,
                is_void=bill.facts["is_void"],
            )
            self.move_for(bill, item, item.amount, item.date, f"line {position}")

    def void(self, bill: Bill) -> None:
        """Void an invoice. Its allocations become credit, and its items may be issued again."""
        bill.is_void = True
        for position, item in enumerate(bill.items, 1):
            said = Item(f"Voided: {item.description}", -item.amount, None, None, item.session_id)
            self.move_for(bill, said, said.amount, None, f"void {position}")
        for allocation in list(bill.allocations):
            self.put(
                bill,
                -allocation["amount_minor"],
                allocation["payment_id"],
                is_credit=allocation["is_credit"],
            )
            self.credit += allocation["amount_minor"]
        total = sum(item.amount for item in bill.items)
        self.movements.append(Movement(self.today, "Void invoice", bill, invoiced=-total))
        bill.asked -= total

    def correct(self, kind: EntryKind, amount: int, description: str, bill: Bill) -> None:
        """Write an adjustment or a write-off of an invoice."""
        said = f"{description} {bill.number}"
        self.move(kind, amount, said, reference=f"{kind.lower()} {self.at:%Y%m%d}", bill=bill)
        self.movements.append(Movement(self.today, description, bill, invoiced=amount))
        bill.asked += amount

    def give_credit(self, amount: int, description: str) -> None:
        """Give credit, or reduce it by a negative amount."""
        self.move(EntryKind.CREDIT, -amount, description, reference=f"credit {self.at:%Y%m%d}")
        self.movements.append(Movement(self.today, description, paid=amount))
        self.credit += amount

    # -- payments ----------------------------------------------------------------------------------

    def open_bills(self) -> list[Bill]:
        """Return the bills with an amount due, the oldest first."""
        return [bill for bill in self.bills if bill.due > 0]

    def pay(
        self, method: PaymentMethodKind, bill: Bill | None = None, amount: int | None = None
    ) -> None:
        """Pay the balance or one invoice, unused credit first; or record a received amount."""
        targets = self.open_bills() if bill is None else [bill]
        due = sum(target.due for target in targets)
        credit = min(self.credit, due)
        charged = due - credit if amount is None else amount
        if charged <= 0:
            self.spend(targets, credit)
            return
        payment = self.receive(method, charged, bill)
        self.allocate(targets, credit, payment["id"], is_credit=True)
        rest = min(charged, due - credit)
        self.allocate(targets, rest, payment["id"], is_credit=False)
        self.credit += charged - credit - rest

    def spend(self, targets: list[Bill], amount: int) -> None:
        """Allocate credit to invoices without a payment."""
        credit = min(amount, self.credit, sum(target.due for target in targets))
        self.allocate(targets, credit, None, is_credit=True)
        self.credit -= credit

    def receive(self, method: PaymentMethodKind, amount: int, bill: Bill | None) -> dict[str, Any]:
        payment = self.attempt(method, PaymentState.SUCCEEDED, amount, bill)
        self.payments.append(payment)
        said = f"Payment by {said_of(payment)}"
        self.move(
            EntryKind.PAYMENT,
            -amount,
            said,
            reference=payment["id"],
            payment_id=payment["id"],
            id=payment["id"],
        )
        self.movements.append(Movement(self.today, said, paid=amount))
        self.write(
            Receipt,
            payment_id=payment["id"],
            amount_minor=amount,
            issued_at=self.at,
            issued_on=self.today,
        )
        return payment

    def decline(self, amount: int, bill: Bill | None, reason: DeclineReason) -> None:
        """Write a payment that failed, because its card was declined."""
        self.attempt(PaymentMethodKind.CARD, PaymentState.FAILED, amount, bill, reason)

    def begin(self) -> None:
        """Begin a payment of the balance that the card's bank hasn't decided yet."""
        targets = self.open_bills()
        due = sum(target.due for target in targets)
        credit = min(self.credit, due)
        payment = self.attempt(PaymentMethodKind.CARD, PaymentState.PROCESSING, due - credit, None)
        for target in targets:
            self.write(
                Claim, payment_id=payment["id"], invoice_id=target.id, amount_minor=target.due
            )
        if credit:
            self.write(Claim, payment_id=payment["id"], amount_minor=credit)

    def attempt(
        self,
        method: PaymentMethodKind,
        state: PaymentState,
        amount: int,
        bill: Bill | None,
        reason: DeclineReason | None = None,
    ) -> dict[str, Any]:
        succeeded = state == PaymentState.SUCCEEDED
        card = self.charged_card() if method == PaymentMethodKind.CARD else {}
        return self.write(
            Payment,
            invoice_id=bill.id if bill else None,
            method=method,
            state=state,
            amount_minor=amount,
            payment_method_id=card.get("id"),
            card_brand=card.get("brand"),
            card_last4=card.get("last4"),
            failure_reason=reason,
            idempotency_key=f"demo-{self.chance.digits(12)}" if card else None,
            stripe_account=self.stripe_account if card else None,
            stripe_id=f"pi_sandbox_{self.chance.digits(16)}" if card else None,
            charged_at=self.at if card and succeeded else None,
            created_at=self.at,
            created_on=self.today,
            paid_at=self.at if succeeded else None,
        )

    def charged_card(self) -> dict[str, Any]:
        return next(card for card in self.cards if card["is_default"])

    def refund(self, payment: dict[str, Any], amount: int, description: str) -> None:
        """Refund a part of a payment: from unused credit if that covers it, else from invoices."""
        payment_id = str(payment["id"])
        before = self.refunds.get(payment_id, [])
        put = sum(bill.paid_by(payment_id) for bill in self.bills)
        given = min(amount, payment["amount_minor"] - sum(before), max(self.credit, put))
        if given <= 0:
            return
        self.refunds[payment_id] = [*before, given]
        self.move(
            EntryKind.REFUND,
            given,
            description,
            reference=f"{payment_id} {len(before) + 1}",
            payment_id=payment_id,
        )
        self.movements.append(Movement(self.today, description, paid=-given))
        of_credit = min(self.credit, given)
        self.credit -= of_credit
        self.take_back(payment_id, given - of_credit)

    def take_back(self, payment_id: str, amount: int) -> None:
        """Take an amount from the invoices that the payment paid, the last one first."""
        for bill in reversed(self.bills):
            part = min(amount, bill.paid_by(payment_id))
            if part > 0:
                self.put(bill, -part, payment_id, is_credit=False)
                amount -= part


def said_of(payment: dict[str, Any]) -> str:
    if payment["method"] == PaymentMethodKind.CARD:
        return f"{payment['card_brand'].title()} ending {payment['card_last4']}"
    return SAID[payment["method"]]
