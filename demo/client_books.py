"""A client's books in the demo: entries in memory by the writers, at times of the past."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from billing.entry.client_ledger import ClientLedger, ClientMaker, enter_in_memory
from billing.entry.credits import CreditUse, use_credit
from billing.entry.invoices import (
    InvoiceVoid,
    NewInvoice,
    NewLine,
    WriteOff,
    issue_invoice,
    void_invoice,
    write_off_invoice,
)
from billing.entry.outside_payments import (
    OutsidePayment,
    OutsideRefund,
    record_payment,
    record_refund,
    refunds_of,
)
from billing.entry.people import ClientDetails, add_client
from billing.entry.rows import Draft, Insertion
from billing.entry.sessions import SessionDetails, record_session
from billing.ledger.allocation import allocate
from demo.card_payments import Card, CardCharge, charge_card, keep_card, open_customer
from demo.entries import Chance, Entered
from demo.office import Office, Service
from models import DeclineReason, PaymentMethodKind, PaymentState

MILLISECOND = dt.timedelta(milliseconds=1)
# More than is ever due: what it pays is the amount due less unused credit.
UNLIMITED = 10**12


class ClientBooks:
    """The entries of one client. `at` is the time of the next entry."""

    def __init__(
        self, office: Office, chance: Chance, at: dt.datetime, details: ClientDetails
    ) -> None:
        self.office, self.chance, self.at = office, chance, at
        self.unbilled: list[NewLine] = []
        self.lines: dict[str, Sequence[NewLine]] = {}
        self.cards: list[Card] = []
        draft = Draft(office.id, chance.stamp(at, self.today))
        add_client(draft, office.practice, details)
        client, *_ = draft.operations
        assert isinstance(client, Insertion)
        self.ledger = ClientLedger(office.practice, client.values)
        self.entered = [Entered(at, operation) for operation in draft.operations]
        self.at += MILLISECOND
        if office.takes_cards:
            self.enter(open_customer, f"cus_sandbox_{chance.digits(14)}")

    @property
    def id(self) -> str:
        return self.ledger.id

    @property
    def today(self) -> dt.date:
        return self.office.day(self.at)

    def enter(self, maker: ClientMaker[Any], wanted: Any) -> str:
        """Make an entry at the time of the books, and return the id of its main row."""
        stamp = self.chance.stamp(self.at, self.today)
        row_id, operations = enter_in_memory(self.ledger, stamp, maker, wanted)
        self.entered += [Entered(self.at, operation) for operation in operations]
        self.at += MILLISECOND
        return row_id

    def take_entered(self) -> list[Entered]:
        """Return the operations that were entered since the last call."""
        entered, self.entered = self.entered, []
        return entered

    def keep(self, card: Card) -> None:
        """Put a card on file. The holder's first card is the default."""
        digits = self.chance.digits
        card = replace(
            card,
            stripe_id=f"pm_sandbox_{digits(16)}",
            fingerprint=f"sandbox-{digits(12)}",
            is_default=card.contact_id not in {one.contact_id for one in self.cards},
        )
        self.cards.append(replace(card, id=self.enter(keep_card, card)))

    # -- amounts owed ------------------------------------------------------------------------------

    def attend(self, service: Service, starts_at: dt.datetime) -> None:
        """Hold a session. A later invoice will contain it."""
        # The row is written when the session is over.
        self.at += dt.timedelta(minutes=service.minutes)
        details = SessionDetails(
            self.today,
            service.description,
            service.fee_minor,
            starts_at=starts_at,
            duration_minutes=service.minutes,
            service_code=service.code,
        )
        self.unbilled.append(NewLine(session_id=self.enter(record_session, details)))

    def charge(self, description: str, amount: int, date: dt.date | None = None) -> None:
        """Add an item other than a session to the next invoice."""
        self.unbilled.append(NewLine(description, amount, date))

    def issue(self, lines: Sequence[NewLine], due_in: int | None, **facts: Any) -> str:
        """Issue an invoice that is due in some days, and return its id."""
        due_on = self.today + dt.timedelta(due_in) if due_in is not None else None
        invoice_id = self.enter(issue_invoice, NewInvoice(lines, due_on, **facts))
        self.lines[invoice_id] = lines
        return invoice_id

    def reissue(self, invoice_id: str, due_in: int) -> str:
        """Void an invoice, and issue another for the same lines."""
        self.enter(void_invoice, InvoiceVoid(invoice_id))
        notes = f"Replaces {self.ledger.invoices[invoice_id].number}."
        return self.issue(self.lines[invoice_id], due_in, notes=notes)

    def write_off(self, invoice_id: str) -> None:
        """Write off the amount due of an invoice, if there is one."""
        if self.due(invoice_id):
            self.enter(write_off_invoice, WriteOff(invoice_id))

    # -- payments ----------------------------------------------------------------------------------

    def due(self, invoice_id: str) -> int:
        return self.ledger.invoices[invoice_id].due

    def payable(self, invoice_id: str | None) -> int:
        """Return the charge that pays an invoice, or all of them, after unused credit."""
        shares = allocate(self.ledger.amounts_due().of(invoice_id), UNLIMITED)
        return sum(share.minor for share in shares if not share.is_credit)

    def pay(
        self, method: PaymentMethodKind, invoice_id: str | None = None, amount: int | None = None
    ) -> None:
        """Pay the balance or one invoice, unused credit first; or record a received amount."""
        charged = self.payable(invoice_id) if amount is None else amount
        if charged <= 0:
            self.spend(invoice_id)
        elif method == PaymentMethodKind.CARD:
            self.charge_card(PaymentState.SUCCEEDED, charged, invoice_id)
        else:
            self.enter(record_payment, OutsidePayment(method, charged, invoice_id=invoice_id))

    def spend(self, invoice_id: str | None, most: int = UNLIMITED) -> None:
        """Put unused credit toward invoices, without a payment."""
        for share in allocate(self.ledger.amounts_due().of(invoice_id), 0):
            self.enter(use_credit, CreditUse(share.invoice_id, min(share.minor, most)))

    def charge_card(
        self,
        state: PaymentState,
        amount: int,
        invoice_id: str | None,
        reason: DeclineReason | None = None,
    ) -> None:
        digits = self.chance.digits
        keys = f"demo-{digits(12)}", f"pi_sandbox_{digits(16)}"
        card = next(card for card in self.cards if card.is_default)
        self.enter(charge_card, CardCharge(card, state, amount, invoice_id, reason, *keys))

    def decline(self, invoice_id: str, reason: DeclineReason) -> None:
        """Fail to pay an invoice, because the card is declined."""
        if amount := self.payable(invoice_id):
            self.charge_card(PaymentState.FAILED, amount, invoice_id, reason)

    def begin(self) -> None:
        """Begin a payment of the balance that the card's bank hasn't decided yet."""
        if amount := self.payable(None):
            self.charge_card(PaymentState.PROCESSING, amount, None)

    def refund(self, amount: int) -> None:
        """Give back an amount of the last payment that wasn't by card, or what is left of it.

        The invented payments by card have no refunds at Stripe.
        """
        payments = [one for one in self.ledger.payments.values() if one["stripe_id"] is None]
        if payments:
            before = sum(one["amount_minor"] for one in refunds_of(self.ledger, payments[-1]["id"]))
            given = min(amount, payments[-1]["amount_minor"] - before)
            if given > 0:
                self.enter(record_refund, OutsideRefund(payments[-1]["id"], given))
