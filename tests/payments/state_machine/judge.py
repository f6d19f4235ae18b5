"""Checks of the final state of a machine's client, by the double's objects and plain rows alone."""

from collections import Counter

from models import (
    Allocation,
    CardSetup,
    Claim,
    Detachment,
    Invoice,
    LedgerEntry,
    Payment,
    PaymentMethod,
    PaymentState,
    Receipt,
)
from tests.support import books
from tests.support.payments import Paying

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
    assert by_card == at_stripe, "a payment's state differs from Stripe's"
    receipts = [one.payment_id for one in await portal.all(Receipt)]
    assert sorted(receipts) == sorted(succeeded), "a succeeded payment has no receipt, or several"
    back = went_back(portal)
    of_disputes = sum(one.amount_minor for one in ledger if one.kind == "DISPUTE")
    refunded = sum(one.amount_minor for one in ledger if one.kind == "REFUND")
    assert refunded == back["refund"], f"Stripe refunded {back['refund']}, the ledger {refunded}"
    assert of_disputes == back["dispute"], "the disputed amount differs from Stripe's"
    put: Counter[str] = Counter()
    for one in allocations:
        put[one.invoice_id] += one.amount_minor
    asked = {one.id: one.total_minor for one in invoices}
    assert all(0 <= put[id_] <= asked[id_] for id_ in put), "an invoice is over-paid"
    kept = charged - sum(back.values())
    assert kept <= sum(one.total_minor for one in invoices), "charged more than was ever owed"
    charged_for = Counter(dict.fromkeys(by_card, 0))
    for one in allocations:
        is_reversed = one.refund_id is not None or one.dispute_id is not None
        charged_for[one.payment_id] += 0 if one.is_credit or is_reversed else one.amount_minor
    for one in payments:
        surplus = one.id in by_card and one.amount_minor != charged_for[one.id]
        assert not surplus, "charged for an amount that was not owed"
    given = -sum(one.amount_minor for one in ledger if one.kind == "CREDIT")
    funds = charged - refunded - of_disputes + given
    assert sum(put.values()) <= funds, "credit is spent twice"
    await judge_ledger(portal)
    await judge_cards(portal)
    await books.assert_verified(portal.engine)


async def judge_ledger(portal: Paying) -> None:
    """Check each payment's rows with Stripe, and the balance with its parts."""
    ledger, allocations = await portal.all(LedgerEntry), await portal.all(Allocation)
    intents = {one["id"]: one["metadata"]["payment"] for one in portal.store.all("payment_intent")}
    moved: Counter[tuple[str, str]] = Counter()
    for one in portal.charges():
        moved["PAYMENT", intents[one["payment_intent"]]] -= one["amount"]
    for kind, end in (("refund", "failed"), ("dispute", "won")):
        for one in portal.store.all(kind):
            left = one["amount"] if one["status"] != end else 0
            moved[kind.upper(), intents[one["payment_intent"]]] += left
    entered: Counter[tuple[str, str]] = Counter()
    for row in ledger:
        if row.payment_id is not None:
            entered[row.kind, row.payment_id] += row.amount_minor
    assert nonzero(entered) == nonzero(moved), "a payment's ledger differs from Stripe"
    billed, paid = Counter[str | None](), Counter[str | None]()
    for row in ledger:
        billed[row.invoice_id] += row.amount_minor
    for row in allocations:
        paid[row.invoice_id] += row.amount_minor
    funds = -billed.pop(None, 0)
    assert all(0 <= paid[id_] <= billed[id_] for id_ in billed), "an invoice is over-paid"
    unallocated = funds - paid.total()
    assert unallocated >= 0, "unallocated funds are below zero"
    balance, payable = await shown_balance(portal)
    assert balance == sum(row.amount_minor for row in ledger), "the balance differs"
    assert balance == billed.total() - paid.total() - unallocated, "the balance has other parts"
    assert payable <= max(0, balance), "more is payable than is owed"


def nonzero(sums: Counter[tuple[str, str]]) -> dict[tuple[str, str], int]:
    return {key: minor for key, minor in sums.items() if minor}


async def shown_balance(portal: Paying) -> tuple[int, int]:
    """Return the balance and the payable amount that a client reads."""
    query = "{ client { balance { amount { minorUnits } payable { minorUnits } } } }"
    answer = (await portal.ask(query, await portal.token())).json()
    balance = answer["data"]["client"]["balance"]
    return int(balance["amount"]["minorUnits"]), int(balance["payable"]["minorUnits"])


def went_back(portal: Paying) -> Counter[str]:
    """Return the amounts that Stripe refunded and that banks took back."""
    refunds, disputes = portal.store.all("refund"), portal.store.all("dispute")
    return Counter(
        refund=sum(one["amount"] for one in refunds if one["status"] != "failed"),
        dispute=sum(one["amount"] for one in disputes if one["status"] != "won"),
    )


async def judge_cards(portal: Paying) -> None:
    cards = [one for one in await portal.all(PaymentMethod) if one.removed_at is None]
    known = [(one.stripe_account, one.fingerprint) for one in cards if one.fingerprint]
    assert len(set(known)) == len(known), "a card is on file twice"
    for account in {one.stripe_account for one in cards}:
        defaults = [one for one in cards if one.stripe_account == account and one.is_default]
        assert len(defaults) == 1, "no default card, or several"
    attached = {one["id"] for one in portal.store.all("payment_method") if one["customer"]}
    waiting = {one.stripe_id for one in await portal.all(Detachment) if one.done_at is None}
    on_file = {one.stripe_id for one in cards}
    assert on_file <= attached, "a card on file is not attached at Stripe"
    assert attached - waiting <= on_file, "a card attached at Stripe is not on file"
    forms = {one.stripe_id: one.state for one in await portal.all(CardSetup) if one.stripe_id}
    for setup in portal.store.all("setup_intent"):
        is_over = setup["status"] in ("succeeded", "canceled")
        assert is_over or forms.get(setup["id"]) in (None, "PREPARED"), "a form is open at Stripe"
