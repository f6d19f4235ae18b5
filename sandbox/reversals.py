"""Refunds and disputes: money that goes back."""

from typing import Any

from sandbox.errors import invalid
from sandbox.store import Object, Store

OPEN = ("needs_response", "under_review")


def refund(store: Store, account: str, params: Object) -> Object:
    """All that is left of a charge, or an amount of it."""
    charge = charge_of(store, account, str(params.get("payment_intent", "")))
    left = charge["amount"] - charge["amount_refunded"]
    amount = str(params.get("amount", left))
    if not amount.isdigit() or int(amount) == 0:
        raise invalid("Invalid integer: amount", "parameter_invalid_integer", "amount")
    if disputed(store, account, charge):
        raise invalid("The charge is disputed.", "charge_disputed")
    if left == 0:
        raise invalid("The charge has already been refunded.", "charge_already_refunded")
    if int(amount) > left:
        raise invalid("The amount is greater than what is left.", param="amount")
    made = store.new(
        account,
        "refund",
        "re",
        amount=int(amount),
        currency=charge["currency"],
        charge=charge["id"],
        payment_intent=charge["payment_intent"],
        metadata=params.get("metadata", {}),
        status="succeeded",
    )
    charge["amount_refunded"] += made["amount"]
    store.save(account, charge)
    store.tell(account, "refund.created", made)
    store.tell(account, "charge.refunded", charge)
    return made


def fail(store: Store, account: str, id_: str) -> Object:
    """The cardholder's bank sends a refund back."""
    made = store.find(account, "refund", id_)
    if made["status"] == "failed":
        raise invalid("The refund has failed already.")
    charge = store.find(account, "charge", made["charge"])
    charge["amount_refunded"] -= made["amount"]
    store.save(account, charge)
    made.update(status="failed", failure_reason="unknown")
    store.save(account, made)
    store.tell(account, "refund.failed", made)
    return made


def dispute(store: Store, account: str, intent: str, amount: int | None = None) -> Object:
    """The cardholder goes to the bank, which takes the money back at once."""
    charge = charge_of(store, account, intent)
    if any(one["charge"] == charge["id"] for one in store.all("dispute", account)):
        raise invalid("The charge is disputed already.", "charge_disputed")
    made = store.new(
        account,
        "dispute",
        "du",
        amount=amount or charge["amount"],
        currency=charge["currency"],
        charge=charge["id"],
        payment_intent=intent,
        metadata={},
        reason="fraudulent",
        status="needs_response",
    )
    store.tell(account, "charge.dispute.created", made)
    store.tell(account, "charge.dispute.funds_withdrawn", made)
    return made


def close(store: Store, account: str, id_: str, *, won: bool) -> Object:
    """The bank decides, for the practice or for the cardholder."""
    made = store.find(account, "dispute", id_)
    if made["status"] not in OPEN:
        raise invalid(f"The dispute is over: {made['status']}.")
    made["status"] = "won" if won else "lost"
    store.save(account, made)
    store.tell(account, "charge.dispute.closed", made)
    if won:
        store.tell(account, "charge.dispute.funds_reinstated", made)
    return made


def disputed(store: Store, account: str, charge: Object) -> bool:
    """Whether the bank has the money; none is given back beside it."""
    found = store.all("dispute", account)
    return any(one["charge"] == charge["id"] and one["status"] != "won" for one in found)


def charge_of(store: Store, account: str, intent: str) -> Object:
    found = store.find(account, "payment_intent", intent)
    if not found["latest_charge"]:
        raise invalid("This PaymentIntent does not have a successful charge.")
    return store.find(account, "charge", found["latest_charge"])


# -- lists -----------------------------------------------------------------------------------------

PAGE_SIZE, MOST = 10, 100


def listed(store: Store, account: str, kind: str, params: Object) -> Object:
    """A page of the account's objects, the newest first, as Stripe filters them."""
    found = [one for one in reversed(store.all(kind, account)) if matches(one, params)]
    if after := params.get("starting_after"):
        ids = [one["id"] for one in found]
        found = found[ids.index(after) + 1 :]
    size = min(int(params.get("limit", PAGE_SIZE)), MOST)
    return {"object": "list", "data": found[:size], "has_more": len(found) > size}


def matches(one: Object, params: Object) -> bool:
    created: Any = params.get("created") or {}
    intent = params.get("payment_intent")
    return one["created"] >= int(created.get("gte", 0)) and intent in (
        None,
        one.get("payment_intent"),
    )
