"""PaymentMethods: cards, as Stripe stores and shows them."""

from typing import Any

from sandbox import objects
from sandbox.cards import CARDS, Behaviour, fingerprint
from sandbox.errors import StripeError, invalid
from sandbox.store import PRIVATE, Object, Store, private, public_view

# A setting: false if Stripe gives no fingerprint, as for some wallets.
FINGERPRINTS = "fingerprints"


def create_card(
    store: Store,
    account: str,
    number: str,
    month: int,
    year: int,
    name: str | None,
    zip_: str | None,
    *,
    country: str | None = None,
    wallet: str | None = None,
    **facts: Any,
) -> Object:
    """Create a PaymentMethod, perhaps by a wallet, as `apple_pay`. Only this double stores the
    number.
    """
    known = fingerprint(number) if store.setting(FINGERPRINTS, True) else None
    about = objects.card(CARDS[number].brand, number[-4:], month, year, known)
    if wallet is not None:
        about["wallet"] = {"dynamic_last4": None, "type": wallet, wallet: {}}
    billing = objects.billing_details(name, zip_, country)
    made = objects.payment_method(billing_details=billing, card=about, **facts)
    return store.new(account, "payment_method", "pm", **made, **{PRIVATE: {"number": number}})


def behaviour(method: Object) -> Behaviour:
    """Return the behaviour of this card."""
    return CARDS[private(method)["number"]]


def attach(store: Store, account: str, method: Object, customer: str) -> None:
    method["customer"] = customer
    store.save(account, method)
    store.tell(account, "payment_method.attached", method)


def detach_method(store: Store, account: str, id_: str, _: Object) -> Object:
    method = store.find(account, "payment_method", id_, None)
    if method["customer"] is None:
        raise invalid(
            "The payment method you provided is not attached to a customer so detachment is"
            " impossible."
        )
    remove_from_customer(store, account, method)
    store.tell(account, "payment_method.detached", method)
    return method


def remove_from_customer(store: Store, account: str, method: Object) -> None:
    """Detach a card from its customer. The card can't be used again."""
    method |= {"customer": None, PRIVATE: private(method) | {"spent": True}}
    store.save(account, method)


def check_usable(method: Object) -> None:
    """Refuse a card that was detached, or used up by a payment."""
    if private(method).get("spent"):
        raise used_up()


def used_up() -> StripeError:
    return invalid(
        "This PaymentMethod was previously used without being attached to a Customer or was"
        " detached from a Customer, and may not be used again.",
        None,
        "payment_method",
    )


def renew(store: Store, account: str, id_: str, month: int, year: int) -> Object:
    """Change a card's expiry, as after an update by the bank."""
    method = store.find(account, "payment_method", id_)
    method["card"] |= {"exp_month": month, "exp_year": year}
    store.save(account, method)
    store.tell(account, "payment_method.automatically_updated", method)
    return public_view(method)


def get_method(store: Store, account: str, id_: str, _: Object) -> Object:
    return store.find(account, "payment_method", id_)
