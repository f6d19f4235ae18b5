"""Charges: each try of a payment at the bank, including declined ones, and Stripe's fees."""

from typing import Any

from sandbox import objects
from sandbox.currencies import ZERO_DECIMAL
from sandbox.errors import error
from sandbox.store import Object, Store, public_view

DECLINED = "Your card was declined."
# A setting: true if Stripe books charges on the account's balance later, and tells their fees then.
LATE_FEES = "late_fees"
# Funds are on their way to the account for two days.
ON_THEIR_WAY_S = 2 * 86_400


def create_charge(
    store: Store,
    account: str,
    intent: Object,
    method: Object,
    *,
    code: str | None = None,
    decline_code: str | None = None,
) -> Object:
    """Create the charge of an intent by a card. `code` is the bank's decline."""
    failure = {"failure_code": code, "failure_message": DECLINED, "paid": False}
    made = store.new(
        account,
        "charge",
        "ch",
        **objects.charge(
            amount=intent["amount"],
            amount_captured=0 if code else intent["amount"],
            billing_details=method["billing_details"],
            captured=code is None,
            currency=intent["currency"],
            customer=intent["customer"],
            metadata=intent["metadata"],
            outcome=objects.outcome(code, decline_code),
            payment_intent=intent["id"],
            payment_method=method["id"],
            payment_method_details=objects.charged_card(method["card"]),
            status="failed" if code else "succeeded",
            **(failure if code else {}),
        ),
    )
    if code is None and not store.setting(LATE_FEES, False):
        book_charge(store, account, made["id"])
    return store.find(account, "charge", made["id"])


def book_charge(store: Store, account: str, id_: str) -> Object:
    """Put a charge on the account's balance, less Stripe's fee."""
    charge = store.find(account, "charge", id_)
    amount, currency = charge["amount"], charge["currency"]
    fee = fee_of(amount, currency)
    detail = {"amount": fee, "application": None, "currency": currency, "type": "stripe_fee"}
    booked = store.new(
        account,
        "balance_transaction",
        "txn",
        **objects.balance_transaction(
            amount=amount,
            available_on=int(store.now()) + ON_THEIR_WAY_S,
            currency=currency,
            fee=fee,
            fee_details=[detail | {"description": "Stripe processing fees"}],
            net=amount - fee,
            reporting_category="charge",
            source=charge["id"],
            status="pending",
            type="charge",
        ),
    )
    charge["balance_transaction"] = booked["id"]
    store.save(account, charge)
    return charge


def book_late(store: Store, account: str, id_: str) -> Object:
    """Book a charge whose fee was not known when it was made, and tell it."""
    charge = book_charge(store, account, id_)
    store.tell(account, "charge.updated", charge)
    return charge


def fee_of(amount: int, currency: str) -> int:
    """Return 2.9 %, rounded up, and 30 cents in currencies that have them."""
    return -(-amount * 29 // 1000) + (0 if currency in ZERO_DECIMAL else 30)


def declined(made: Object, method: Object, code: str, decline_code: str | None) -> Object:
    """Return the error of a charge that the bank declined."""
    facts: dict[str, Any] = {"charge": made["id"], "payment_method": public_view(method)}
    return error("card_error", DECLINED, code, decline_code=decline_code, **facts)
