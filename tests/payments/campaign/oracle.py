"""The campaign's verdict, from the double's objects and plain rows, without billing/.

Each function yields the faults of one kind.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.payments.campaign.facts import Facts, Values, grouped

AT_REST = {"SUCCEEDED", "FAILED", "CANCELED"}
REFUND_AT_REST = {"SUCCEEDED", "FAILED"}
# Answers to `pay` for which no payment was begun.
NOT_BEGUN = {"AmountChanged", "AmountTooSmall", "AmountTooLarge", "NothingToPay", "InvalidInput"}
ENDED_UNPAID = {"CardDeclined", "PayCanceled"}
# Refunds that moved nothing, and disputes for which the bank took nothing.
NOT_REFUNDED = {"failed", "canceled"}
NOT_TAKEN = {"won", "prevented", "warning_needs_response", "warning_under_review", "warning_closed"}


@dataclass(frozen=True)
class Finding:
    """A fault. `client`: the index of its client, if it belongs to one."""

    client: int | None
    text: str


Judge = Callable[[Facts], Iterator[Finding]]


# -- charged twice ---------------------------------------------------------------------------------


def charged_twice(facts: Facts) -> Iterator[Finding]:
    """Find second charges of a payment or a key, and charges of more than was ever due."""
    for payment_id, charges in facts.charges_by_payment.items():
        if len(charges) > 1:
            yield Finding(facts.index_of(payment_id), f"{payment_id} has {len(charges)} charges")
    by_key: Counter[tuple[str, str]] = Counter()
    for payment_id in facts.charges_by_payment:
        if row := facts.payments.get(payment_id):
            by_key[row["client_id"], row["idempotency_key"]] += 1
    for (client_id, key), count in by_key.items():
        if count > 1:
            yield Finding(facts.clients.get(client_id), f"{key} was charged {count} times")
    for somebody in facts.people:
        yield from more_than_due(facts, somebody.index)


def more_than_due(facts: Facts, index: int) -> Iterator[Finding]:
    """Find a charge by which more was charged than was invoiced or went back before.

    A refund that fails later made its invoice payable until then, so it counts as gone back.
    """
    somebody = next(one for one in facts.people if one.index == index)
    mine = {one["id"] for one in facts.rows["payment"] if one["client_id"] == somebody.client_id}
    moves: list[tuple[int, int]] = [(debt.since, debt.amount) for debt in somebody.debts]
    for payment_id in mine:
        charges = facts.charges_by_payment[payment_id]
        moves += [(one["number"], -one["amount"]) for one in charges]
        back = facts.refunds_by_payment[payment_id] + facts.disputes_by_payment[payment_id]
        moves += [(one["number"], one["amount"]) for one in back]
    allowed = 0
    for number, amount in sorted(moves, key=lambda move: (move[0], -move[1])):
        allowed += amount
        if allowed < 0 and amount < 0:
            text = f"charge {number} of {-amount} is {-allowed} more than was ever due"
            yield Finding(index, text)
            return


# -- refunded twice --------------------------------------------------------------------------------


def refunded_twice(facts: Facts) -> Iterator[Finding]:
    """Compare the operator's refunds at Stripe with the operator's intentions."""
    intended = grouped(
        (vars(one) for one in facts.journal.intentions), lambda one: one["payment_id"]
    )
    for payment_id, intentions in intended.items():
        index = intentions[0]["client"]
        given = [
            one for one in facts.refunds_by_payment[payment_id] if one["metadata"].get("refund")
        ]
        told = [one for one in intentions if one["refund_id"]]
        ids = Counter(one["refund_id"] for one in told)
        for id_, count in ids.items():
            if count > 1:
                yield Finding(index, f"{count} intentions were told to be {id_}")
        wanted, gave = sum(one["refunded"] for one in told), sum(one["amount"] for one in given)
        if wanted != gave:
            runs = "; ".join(f"{one['amount']} in {one['printed']}" for one in intentions)
            text = f"{payment_id}: {wanted} was to be refunded ({runs}), Stripe refunded {gave}"
            yield Finding(index, text)


# -- lost ------------------------------------------------------------------------------------------


def lost(facts: Facts) -> Iterator[Finding]:
    """Compare the ledger of each payment with Stripe's charges, refunds and disputes."""
    for payment_id in {*facts.payments, *facts.charges_by_payment}:
        yield from lost_of(facts, payment_id)
    receipts = Counter(row["payment_id"] for row in facts.rows["receipt"])
    for payment_id, row in facts.payments.items():
        expected = int(row["state"] == "SUCCEEDED")
        if receipts[payment_id] != expected:
            yield Finding(facts.index_of(payment_id), f"{payment_id}: not {expected} receipts")


def lost_of(facts: Facts, payment_id: str) -> Iterator[Finding]:
    entries = facts.ledger_by_payment[payment_id]
    refunds = [
        one for one in facts.refunds_by_payment[payment_id] if one["status"] not in NOT_REFUNDED
    ]
    disputes = [
        one for one in facts.disputes_by_payment[payment_id] if one["status"] not in NOT_TAKEN
    ]
    for what, entered, at_stripe in (
        (
            "charged",
            -total(entries, "amount_minor", lambda one: one["kind"] == "PAYMENT"),
            total(facts.charges_by_payment[payment_id], "amount"),
        ),
        (
            "refunded",
            total(entries, "amount_minor", lambda one: one["kind"] == "REFUND"),
            total(refunds, "amount"),
        ),
        (
            "disputed",
            total(entries, "amount_minor", lambda one: one["kind"] == "DISPUTE"),
            sum(taken(facts, payment_id, one) for one in disputes),
        ),
    ):
        if entered != at_stripe:
            text = f"{payment_id}: {at_stripe} {what} at Stripe, {entered} in the ledger"
            yield Finding(facts.index_of(payment_id), text)


def taken(facts: Facts, payment_id: str, dispute: Values) -> int:
    """Return the amount that a dispute takes: the whole payment if the dispute exceeds it, or is in
    another currency.
    """
    charge = facts.charges_by_payment[payment_id][0]
    if dispute["currency"] != charge["currency"]:
        return int(charge["amount"])
    return int(min(dispute["amount"], charge["amount"]))


def total(values: list[Values], column: str, which: Callable[[Values], bool] | None = None) -> int:
    return sum(one[column] for one in values if which is None or which(one))


def hashed(key: str) -> str:
    """Return the hash of an idempotency key, as in a payment's row."""
    return hashlib.sha256(key.encode()).hexdigest()


# -- wrong answers ---------------------------------------------------------------------------------


def told_wrong(facts: Facts) -> Iterator[Finding]:
    """Compare each answer with the rows and with Stripe's objects."""
    keys = {
        (facts.clients[row["client_id"]], row["idempotency_key"]): row
        for row in facts.payments.values()
        if row["client_id"] in facts.clients
    }
    cards = {row["id"]: row for row in facts.rows["payment_method"]}
    setups = {row["stripe_id"]: row for row in facts.rows["card_setup"]}
    for told in facts.journal.told:
        charges = facts.charges_by_payment[told.payment_id or ""]
        row = facts.payments.get(told.payment_id or "")
        said = f"{told.what} told {told.typename}"
        if told.typename == "PaySucceeded":
            charged = sum(one["amount"] for one in charges)
            if row is None or row["state"] != "SUCCEEDED" or charged != told.amount:
                yield Finding(told.client, f"{said} of {told.amount}, {charged} was charged")
        elif told.typename in ENDED_UNPAID and charges:
            yield Finding(told.client, f"{said} of {told.payment_id}, and it was charged")
        elif told.typename in NOT_BEGUN and told.what == "pay":
            begun = keys.get((told.client, hashed(told.key or "")))
            if begun and facts.charges_by_payment[begun["id"]]:
                yield Finding(told.client, f"{said} for {told.key}, and it was charged")
        elif told.typename == "CardRemoved":
            card = cards[(told.card_id or "").removeprefix("crd_")]
            if card["removed_at"] is None:
                yield Finding(told.client, f"{said}, and {told.card_id} is on file")
        elif told.typename == "CardAdded" and told.card_id is not None:
            kept = cards.get(told.card_id.removeprefix("crd_"))
            if kept is None or facts.clients.get(kept["client_id"]) != told.client:
                yield Finding(told.client, f"{said}, and {told.card_id} is not the client's")
        elif told.typename == "CardRefused":
            setup = setups.get(told.setup_id or "")
            if setup is not None and setup["state"] == "KEPT":
                yield Finding(told.client, f"{said}, and the card of {told.setup_id} is kept")
    for one in facts.journal.intentions:
        at_stripe = {refund["id"]: refund for refund in facts.refunds_by_payment[one.payment_id]}
        refund = at_stripe.get(one.refund_id or "")
        if one.refund_id and (refund is None or refund["amount"] != one.refunded):
            yield Finding(one.client, f"portal refund told {one.refund_id} of {one.refunded}")


# -- at rest ---------------------------------------------------------------------------------------


def not_at_rest(facts: Facts) -> Iterator[Finding]:
    """Find work that nobody will ever finish."""
    for row in facts.payments.values():
        if row["state"] not in AT_REST:
            yield Finding(facts.index_of(row["id"]), f"payment {row['id']} is {row['state']}")
    for row in facts.rows["claim"]:
        yield Finding(facts.index_of(row["payment_id"]), "a claim is left")
    for row in facts.rows["refund"]:
        if row["state"] not in REFUND_AT_REST:
            mine = [one for one in facts.journal.intentions if one.payment_id == row["payment_id"]]
            text = f"refund {row['key']} is {row['state']}: {[one.printed for one in mine]}"
            yield Finding(facts.index_of(row["payment_id"]), text)
    for row in facts.rows["stripe_event"]:
        if row["handled_at"] is None:
            yield Finding(None, f"event {row['id']} ({row['type']}) waits")
    for row in facts.rows["detachment"]:
        if row["done_at"] is None:
            yield Finding(facts.clients.get(row["client_id"]), f"{row['stripe_id']} waits")
    setups = facts.objects["setup_intent"]
    over = {one["id"] for one in setups if one["status"] in ("succeeded", "canceled")}
    for row in facts.rows["card_setup"]:
        if row["state"] == "PREPARED" and row["stripe_id"] in over:
            text = f"{row['stripe_id']} is over at Stripe, and PREPARED here"
            yield Finding(facts.clients.get(row["client_id"]), text)
    for one in facts.journal.intentions:
        if not one.is_over:
            last = one.printed[-1].strip() if one.printed else ""
            text = f"a refund of {one.payment_id}: no end in {one.runs} runs: {last}"
            yield Finding(one.client, text)


# -- cards -----------------------------------------------------------------------------------------


def cards_unlike_stripes(facts: Facts) -> Iterator[Finding]:
    """Find kept cards that are not attached to their client's customer, and the reverse."""
    methods = {one["id"]: one for one in facts.objects["payment_method"]}
    # Customers of other integrations have no client here.
    owners = {
        one["id"]: facts.clients[one["metadata"]["client"]]
        for one in facts.objects["customer"]
        if one.get("metadata", {}).get("client") in facts.clients
    }
    kept: set[str] = set()
    defaults: Counter[int | None] = Counter()
    for row in facts.rows["payment_method"]:
        index, method = facts.clients.get(row["client_id"]), methods.get(row["stripe_id"])
        customer = method.get("customer") if method else None
        if row["removed_at"] is None:
            kept.add(row["stripe_id"])
            defaults[index] += int(bool(row["is_default"]))
            if customer is None:
                yield Finding(index, f"{row['stripe_id']} is on file, and detached at Stripe")
            elif owners.get(customer) != index:
                yield Finding(index, f"{row['stripe_id']} is attached to another's customer")
        elif customer is not None and row["stripe_id"] not in kept_ids(facts):
            yield Finding(index, f"{row['stripe_id']} is removed, and attached at Stripe")
    for id_, method in methods.items():
        if method.get("customer") in owners and id_ not in kept:
            yield Finding(owners.get(method["customer"]), f"{id_} is attached, and not on file")
    for index, count in defaults.items():
        if count != 1:
            yield Finding(index, f"{count} default cards")


def kept_ids(facts: Facts) -> set[str]:
    rows = facts.rows["payment_method"]
    return {row["stripe_id"] for row in rows if row["removed_at"] is None}


# -- invoices --------------------------------------------------------------------------------------


def invoices_overpaid(facts: Facts) -> Iterator[Finding]:
    """Find invoices with more put toward them than their total."""
    put: Counter[str] = Counter()
    for row in facts.rows["allocation"]:
        put[row["invoice_id"]] += row["amount_minor"]
    asked = Counter({row["id"]: row["total_minor"] for row in facts.rows["invoice"]})
    owners = {row["id"]: row["client_id"] for row in facts.rows["invoice"]}
    for id_, minor in put.items():
        if minor > asked[id_]:
            text = f"{minor} was put toward {id_}, which is of {asked[id_]}"
            yield Finding(facts.clients.get(owners[id_]), text)


JUDGES: dict[str, Judge] = {
    "charged twice": charged_twice,
    "refunded twice": refunded_twice,
    "lost (ledger unlike Stripe's)": lost,
    "an invoice paid twice": invoices_overpaid,
    "told wrong": told_wrong,
    "never at rest": not_at_rest,
    "card on file unlike Stripe's": cards_unlike_stripes,
}


def judged(facts: Facts) -> dict[str, list[Finding]]:
    return {name: list(judge(facts)) for name, judge in JUDGES.items()}


def tried(facts: Facts) -> dict[str, int]:
    """Return the number of trials for each kind of fault."""
    payments, intentions = len(facts.payments), len(facts.journal.intentions)
    return {
        "charged twice": payments,
        "refunded twice": intentions,
        "lost (ledger unlike Stripe's)": payments,
        "an invoice paid twice": len({row["invoice_id"] for row in facts.rows["allocation"]}),
        "told wrong": len(facts.journal.told) + intentions,
        "never at rest": payments + intentions,
        "card on file unlike Stripe's": len(facts.rows["payment_method"]),
    }
