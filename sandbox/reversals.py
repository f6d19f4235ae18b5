"""Refunds and disputes: reversed money."""

import secrets

from sandbox import objects
from sandbox.currencies import check_unit
from sandbox.errors import StripeError, invalid
from sandbox.store import Object, Store

# A setting: "pending" if the bank takes days for a refund.
REFUNDS = "refunds"
OPEN = ("needs_response", "under_review")
# Inquiries: the bank asks, and has not taken the money.
INQUIRIES = ("warning_needs_response", "warning_under_review")
WITHOUT_MONEY = (*INQUIRIES, "warning_closed", "prevented")
# The next statuses of a dispute; any other change is refused.
MOVES = {
    "warning_needs_response": ("warning_under_review", "warning_closed", "needs_response"),
    "warning_under_review": ("warning_closed", "needs_response"),
    "needs_response": ("under_review", "won", "lost"),
    "under_review": ("won", "lost"),
}
ENDED = ("won", "lost", "warning_closed")


# -- refunds ---------------------------------------------------------------------------------------


def create_refund(store: Store, account: str, params: Object) -> Object:
    """Refund the rest of a charge, or an amount of it."""
    charge = charge_to_refund(store, account, params)
    left = charge["amount"] - charge["amount_refunded"]
    amount = int(params.get("amount", left))
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise invalid(message, "charge_already_refunded")
    if amount <= 0:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, "parameter_invalid_integer", "amount")
    check_unit(amount, charge["currency"])
    if is_charge_disputed(store, account, charge):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise invalid(message, "charge_disputed")
    if amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        raise invalid(message, None, "amount")
    return refund_of(store, account, charge, amount, params)


def refund_of(store: Store, account: str, charge: Object, amount: int, params: Object) -> Object:
    """Create the refund, as pending if the bank takes days."""
    status = store.setting(REFUNDS, "succeeded")
    pending = {"pending_reason": "processing"} if status == "pending" else {}
    made = store.new(
        account,
        "refund",
        "re",
        **objects.refund(
            amount=amount,
            charge=charge["id"],
            currency=charge["currency"],
            metadata=params.get("metadata", {}),
            payment_intent=charge["payment_intent"],
            reason=params.get("reason"),
            status=status,
            **pending,
        ),
    )
    given_back(store, account, charge, amount)
    store.tell(account, "refund.created", made)
    store.tell(account, "charge.refunded", charge)
    return made


def given_back(store: Store, account: str, charge: Object, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    store.save(account, charge)


def settle_refund(store: Store, account: str, id_: str) -> Object:
    """Complete a pending refund successfully, days later."""
    made = store.find(account, "refund", id_)
    if made["status"] not in ("pending", "requires_action"):
        raise invalid(f"The refund is not pending: its status is {made['status']}.")
    return changed(store, account, made, "succeeded", "refund.updated")


def fail_refund(store: Store, account: str, id_: str) -> Object:
    """Return a refund, as the cardholder's bank does, even days after it had succeeded."""
    return undo(store, account, id_, "failed", "refund.failed", failure_reason="unknown")


def cancel_refund(store: Store, account: str, id_: str) -> Object:
    """Cancel a pending refund."""
    return undo(store, account, id_, "canceled", "refund.updated")


def undo(store: Store, account: str, id_: str, status: str, told: str, **facts: str) -> Object:
    made = store.find(account, "refund", id_)
    if made["status"] in ("failed", "canceled"):
        raise invalid(f"The refund has ended already: its status is {made['status']}.")
    charge = store.find(account, "charge", made["charge"])
    given_back(store, account, charge, -made["amount"])
    return changed(store, account, made | facts, status, told)


def changed(store: Store, account: str, made: Object, status: str, told: str) -> Object:
    made["status"] = status
    made.pop("pending_reason", None)
    store.save(account, made)
    store.tell(account, told, made)
    store.tell(account, "charge.refund.updated", made)
    return made


# -- disputes --------------------------------------------------------------------------------------


def open_dispute(
    store: Store,
    account: str,
    intent: str,
    amount: int | None = None,
    *,
    currency: str | None = None,
    status: str = "needs_response",
    reason: str = "fraudulent",
    again: bool = False,
) -> Object:
    """Have the cardholder dispute a charge. The bank takes the money back at once.

    With an inquiry's `status` the bank only asks. `again` allows another dispute of the same
    charge.
    """
    charge = find_charge(store, account, intent)
    if not again and any(one["charge"] == charge["id"] for one in store.all("dispute", account)):
        raise invalid("The charge is disputed already.", "charge_disputed")
    network = {"brand": "visa", "case_type": "chargeback", "network_reason_code": "10.4"}
    if status in WITHOUT_MONEY:
        network["case_type"] = "inquiry"
    made = store.new(
        account,
        "dispute",
        "du",
        **objects.dispute(
            amount=charge["amount"] if amount is None else amount,
            charge=charge["id"],
            currency=currency or charge["currency"],
            is_charge_refundable=status in WITHOUT_MONEY,
            payment_intent=intent,
            payment_method_details={"type": "card", "card": network},
            reason=reason,
            status=status,
        ),
    )
    store.save(account, charge | {"disputed": True})
    store.tell(account, "charge.dispute.created", made)
    if status not in WITHOUT_MONEY:
        withdraw(store, account, made)
    return made


def withdraw(store: Store, account: str, made: Object) -> None:
    move_money(store, account, made, -made["amount"], "charge.dispute.funds_withdrawn")


def move_money(store: Store, account: str, made: Object, amount: int, told: str) -> None:
    entry = objects.balance_transaction(
        amount=amount,
        available_on=int(store.now()),
        created=int(store.now()),
        currency=made["currency"],
        id=f"txn_{secrets.token_hex(12)}",
        net=amount,
        source=made["id"],
    )
    made["balance_transactions"].append(entry)
    store.save(account, made)
    store.tell(account, told, made)


def decide(store: Store, account: str, id_: str, status: str) -> Object:
    """Move a dispute to a next status, as the bank does."""
    made = store.find(account, "dispute", id_)
    if status not in MOVES.get(made["status"], ()):
        raise invalid(f"The dispute is {made['status']}, and does not become {status}.")
    was_inquiry = made["status"] in INQUIRIES
    made.update(status=status, is_charge_refundable=status in WITHOUT_MONEY)
    store.save(account, made)
    ended = status in ENDED
    store.tell(account, f"charge.dispute.{'closed' if ended else 'updated'}", made)
    if was_inquiry and status == "needs_response":
        withdraw(store, account, made)
    if status == "won":
        move_money(store, account, made, made["amount"], "charge.dispute.funds_reinstated")
    return made


def close_dispute(store: Store, account: str, id_: str, *, won: bool) -> Object:
    """Let the bank decide, for the practice or for the cardholder."""
    return decide(store, account, id_, "won" if won else "lost")


def is_charge_disputed(store: Store, account: str, charge: Object) -> bool:
    """Return whether the bank has the money, so that none can be refunded."""
    found = store.all("dispute", account)
    back = (*WITHOUT_MONEY, "won")
    return any(one["charge"] == charge["id"] and one["status"] not in back for one in found)


# -- the charge ------------------------------------------------------------------------------------


def charge_to_refund(store: Store, account: str, params: Object) -> Object:
    """Return the charge to refund, by its own id or its payment's."""
    named = [name for name in ("charge", "payment_intent") if params.get(name)]
    if not named:
        message = "One of the following params should be provided for this request: payment_intent"
        raise invalid(f"{message} or charge.", "parameter_missing")
    if len(named) == 2:
        raise invalid("You may only specify one of these parameters: charge, payment_intent.")
    if named == ["payment_intent"]:
        return find_charge(store, account, params["payment_intent"], "payment_intent")
    return paid_charge(store.find(account, "charge", params["charge"], "charge"))


def find_charge(store: Store, account: str, intent: str, param: str | None = None) -> Object:
    found = store.find(account, "payment_intent", intent, param)
    if not found.get("latest_charge"):
        raise unpaid(intent)
    return paid_charge(store.find(account, "charge", found["latest_charge"]))


def paid_charge(charge: Object) -> Object:
    if charge["status"] != "succeeded":
        raise unpaid(charge["id"])
    return charge


def unpaid(id_: str) -> StripeError:
    return invalid(f"{id_} does not have a successful charge to refund.")
