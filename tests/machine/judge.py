"""What a machine's client has in the end, by the double's objects and plain rows alone."""

from collections import Counter

from models import Allocation, Claim, Invoice, LedgerEntry, Payment, PaymentState, Receipt
from tests.paying import Paying

AT_REST = {PaymentState.SUCCEEDED, PaymentState.FAILED, PaymentState.CANCELED}


async def judge(portal: Paying) -> None:
    intents, charges = portal.store.all("payment_intent"), portal.charges()
    payments, ledger = await portal.all(Payment), await portal.all(LedgerEntry)
    allocations, invoices = await portal.all(Allocation), await portal.all(Invoice)
    assert {one.state for one in payments} <= AT_REST, "not at rest"
    assert not await portal.all(Claim), "a claim is left"
    charged = sum(one["amount"] for one in charges)
    entered = -sum(one.amount_minor for one in ledger if one.kind == "PAYMENT")
    assert charged == entered, f"Stripe has {charged}, the ledger {entered}"
    succeeded = {one.id for one in payments if one.state is PaymentState.SUCCEEDED}
    by_card = {one.id for one in payments if one.id in succeeded and one.method == "CARD"}
    at_stripe = {one["metadata"]["payment"] for one in intents if one["status"] == "succeeded"}
    assert by_card == at_stripe, "another state than Stripe's"
    receipts = [one.payment_id for one in await portal.all(Receipt)]
    assert sorted(receipts) == sorted(succeeded), "not one receipt a payment"
    put: Counter[str] = Counter()
    for one in allocations:
        put[one.invoice_id] += one.amount_minor
    totals = {one.id: one.total_minor for one in invoices}
    assert all(put[id_] <= total for id_, total in totals.items()), "an invoice is over-paid"
    assert charged <= sum(totals.values()), "charged more than was ever owed"
    charged_for = Counter(dict.fromkeys(by_card, 0))
    for one in allocations:
        charged_for[one.payment_id] += 0 if one.is_credit else one.amount_minor
    for one in payments:
        surplus = one.id in by_card and one.amount_minor != charged_for[one.id]
        assert not surplus, "charged for what was not owed"
    given = -sum(one.amount_minor for one in ledger if one.kind == "CREDIT")
    assert sum(put.values()) <= charged + given, "credit is spent twice"
