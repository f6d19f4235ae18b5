"""The audit of the ledger against Stripe: it reports differences, and changes nothing."""

import datetime as dt
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select

from billing.payments.context import PaymentContext
from billing.payments.reversals import amount_taken
from billing.stripe import Forbidden, Missing
from billing.stripe.objects import Disputed, Intent, IntentStatus, Refunded
from models import (
    ACTIVE_STATES,
    Dispute,
    DisputeState,
    EntryKind,
    LedgerEntry,
    Payment,
    PaymentMethod,
    PaymentState,
    Practice,
    Receipt,
    Refund,
    RefundState,
)


@dataclass(frozen=True)
class Difference:
    """A difference: `what` is an id of ours or of Stripe, and `why` describes it in words."""

    what: str
    why: str


@dataclass(frozen=True)
class StripeRecords:
    """The objects in Stripe's lists."""

    intents: dict[str, Intent]
    refunds: dict[str, Refunded]
    disputes: dict[str, Disputed]


@dataclass(frozen=True)
class PracticeRecords:
    """A practice's rows, and its currency."""

    currency: str
    payments: Sequence[Row[Any]]
    refunds: Sequence[Row[Any]]
    disputes: Sequence[Row[Any]]
    entries: dict[str, list[Row[Any]]]
    receipts: set[str]
    cards: Sequence[Row[Any]]

    def sum(self, payment_id: str, kind: EntryKind, **columns: Any) -> int:
        """Return the sum of a payment's ledger entries."""
        return sum(
            entry.amount_minor
            for entry in self.entries[payment_id]
            if entry.kind is kind
            if all(entry._mapping[name] == value for name, value in columns.items())
        )


async def audit(
    context: PaymentContext, practice_id: str, account: str, since: dt.datetime
) -> list[Difference]:
    """Return all differences in an account since a time. Raise Unknown if Stripe doesn't answer."""
    ours = await stored_rows(context, practice_id, account)
    try:
        stripes = StripeRecords(
            {intent.id: intent for intent in await context.stripe.intents(account, since)},
            {refund.id: refund for refund in await context.stripe.refunds(account, since=since)},
            {
                dispute.id: dispute
                for dispute in await context.stripe.disputes(account, since=since)
            },
        )
    except Forbidden:
        closed = Difference(account, "Stripe can't be asked in this account any more")
        return [closed, *of_unfinished(ours)]
    found = [
        *[missing async for missing in add_unfinished(context, account, stripes, ours)],
        *of_intents(stripes, ours, practice_id),
        *of_payments(stripes, ours, since),
        *of_refunds(stripes, ours, since),
        *of_disputes(stripes, ours, since),
    ]
    return found + [gone async for gone in cards_missing_at_stripe(context, account, ours)]


async def stored_rows(context: PaymentContext, practice_id: str, account: str) -> PracticeRecords:
    """Return the practice's rows that belong to one Stripe account."""
    async with context.engine.connect() as conn:

        async def all_of(table: Any, *where: Any) -> Sequence[Row[Any]]:
            statement = select(table.__table__).where(table.practice_id == practice_id, *where)
            if "stripe_account" in table.__table__.c:
                statement = statement.where(table.stripe_account == account)
            return (await conn.execute(statement)).all()

        by_payment: defaultdict[str, list[Row[Any]]] = defaultdict(list)
        for entry in await all_of(LedgerEntry, LedgerEntry.payment_id.is_not(None)):
            by_payment[entry.payment_id].append(entry)
        currency = select(Practice.currency).where(Practice.id == practice_id)
        return PracticeRecords(
            (await conn.execute(currency)).scalar_one(),
            await all_of(Payment, Payment.stripe_id.is_not(None)),
            await all_of(Refund),
            await all_of(Dispute),
            by_payment,
            {receipt.payment_id for receipt in await all_of(Receipt)},
            await all_of(PaymentMethod, PaymentMethod.removed_at.is_(None)),
        )


# -- payments --------------------------------------------------------------------------------------


def of_unfinished(ours: PracticeRecords) -> Iterator[Difference]:
    """Yield the payments that can't end, because Stripe rejects requests about the account."""
    for payment in ours.payments:
        if payment.state in ACTIVE_STATES:
            yield Difference(
                f"pmt_{payment.id}", f"{payment.state} here, and Stripe can't be asked"
            )


async def add_unfinished(
    context: PaymentContext, account: str, stripes: StripeRecords, ours: PracticeRecords
) -> AsyncIterator[Difference]:
    """Add the unfinished payments that the list is too short for. Yield those that Stripe lacks."""
    for payment in ours.payments:
        if payment.state in ACTIVE_STATES and payment.stripe_id not in stripes.intents:
            try:
                intent = await context.stripe.intent(account, payment.stripe_id)
            except Missing:
                why = f"{payment.state} here, and Stripe has no such PaymentIntent"
                yield Difference(f"pmt_{payment.id}", why)
            else:
                stripes.intents[intent.id] = intent


def of_intents(
    stripes: StripeRecords, ours: PracticeRecords, practice_id: str
) -> Iterator[Difference]:
    """Yield the payments that moved money at Stripe and not here."""
    known = {payment.stripe_id: payment for payment in ours.payments}
    for intent in stripes.intents.values():
        if intent.order is None or intent.status is not IntentStatus.SUCCEEDED:
            continue  # It belongs to another program, or nothing moved.
        payment = known.get(intent.id)
        if payment is None:
            if intent.order.practice_id == practice_id:
                yield Difference(intent.id, "succeeded at Stripe, and no payment here has it")
        elif payment.state is not PaymentState.SUCCEEDED:
            yield Difference(f"pmt_{payment.id}", f"{payment.state} here, succeeded at Stripe")
    for payment in ours.payments:
        stripe_intent = stripes.intents.get(payment.stripe_id)
        is_over = stripe_intent is not None and stripe_intent.status is IntentStatus.CANCELED
        if payment.state in ACTIVE_STATES and is_over:
            yield Difference(f"pmt_{payment.id}", f"{payment.state} here, canceled at Stripe")


def of_payments(
    stripes: StripeRecords, ours: PracticeRecords, since: dt.datetime
) -> Iterator[Difference]:
    """Yield the payments that moved money here and not at Stripe, or another amount."""
    for payment in ours.payments:
        if payment.state is not PaymentState.SUCCEEDED or payment.created_at < since:
            continue
        of, intent = f"pmt_{payment.id}", stripes.intents.get(payment.stripe_id)
        entered = -ours.sum(payment.id, EntryKind.PAYMENT)
        if intent is None:
            yield Difference(of, "succeeded here, and Stripe has no such PaymentIntent")
        elif intent.status is not IntentStatus.SUCCEEDED:
            yield Difference(of, f"succeeded here, {intent.status} at Stripe")
        elif intent.received_minor != entered:
            yield Difference(of, f"{entered} in the ledger, {intent.received_minor} at Stripe")
        if payment.id not in ours.receipts:
            yield Difference(of, "succeeded, and has no receipt")


# -- refunds and disputes --------------------------------------------------------------------------


def of_refunds(
    stripes: StripeRecords, ours: PracticeRecords, since: dt.datetime
) -> Iterator[Difference]:
    known = {refund.stripe_id: refund for refund in ours.refunds}
    yield from unknown_objects(stripes.refunds.values(), known, ours, "refund")
    for refund in ours.refunds:
        stripe_refund, of = stripes.refunds.get(refund.stripe_id), refund.stripe_id or refund.id
        if refund.state is RefundState.REQUESTED:
            yield Difference(of, "a refund was begun, and its result is unknown")
        elif stripe_refund is None:
            if refund.created_at >= since:
                yield Difference(of, "a refund here, and Stripe has no such refund")
        else:
            expected = (
                0 if stripe_refund.state is RefundState.FAILED else stripe_refund.amount_minor
            )
            entered = sum(
                entry.amount_minor
                for entry in ours.entries[refund.payment_id]
                if entry.kind is EntryKind.REFUND
                and entry.reference.partition(" ")[0] == stripe_refund.id
            )
            if entered != expected:
                yield Difference(of, f"{entered} refunded in the ledger, {expected} at Stripe")


def of_disputes(
    stripes: StripeRecords, ours: PracticeRecords, since: dt.datetime
) -> Iterator[Difference]:
    known = {dispute.stripe_id: dispute for dispute in ours.disputes}
    told_of = [dispute for dispute in stripes.disputes.values() if dispute.state is not None]
    yield from unknown_objects(told_of, known, ours, "dispute")
    for dispute in ours.disputes:
        stripe_dispute = stripes.disputes.get(dispute.stripe_id)
        if stripe_dispute is None:
            if dispute.created_at >= since:
                yield Difference(
                    dispute.stripe_id, "a dispute here, and Stripe has no such dispute"
                )
        elif stripe_dispute.state is not dispute.state:
            yield Difference(
                stripe_dispute.id,
                f"the dispute is {dispute.state} here, {stripe_dispute.state} there",
            )
        else:
            received = -ours.sum(dispute.payment_id, EntryKind.PAYMENT)
            taken = amount_taken(stripe_dispute, ours.currency, received)
            expected = 0 if stripe_dispute.state is DisputeState.WON else taken
            entered = ours.sum(dispute.payment_id, EntryKind.DISPUTE, dispute_id=dispute.id)
            if entered != expected:
                yield Difference(
                    stripe_dispute.id, f"{entered} disputed in the ledger, {expected} at Stripe"
                )


def unknown_objects(
    told: Iterable[Refunded | Disputed], known: dict[str, Any], ours: PracticeRecords, kind: str
) -> Iterator[Difference]:
    """Yield the reversals of our payments that Stripe has and the database lacks."""
    payments = {payment.stripe_id for payment in ours.payments}
    for one in told:
        if one.id not in known and one.intent_id in payments:
            yield Difference(one.id, f"a {kind} at Stripe, and none here")


# -- cards -----------------------------------------------------------------------------------------


async def cards_missing_at_stripe(
    context: PaymentContext, account: str, ours: PracticeRecords
) -> Any:
    """Yield the cards on file that Stripe no longer has."""
    for card in ours.cards:
        try:
            stripe_card = await context.stripe.method(account, card.stripe_id)
        except Missing:
            stripe_card = None
        if stripe_card is None or stripe_card.customer is None:
            yield Difference(f"crd_{card.id}", "on file here, and no longer at Stripe")
