"""Stripe's side of demo data: customers, saved cards and payments that exist from the start."""

from typing import Any

from sandbox import charges, objects
from sandbox.cards import CARDS
from sandbox.methods import create_card
from sandbox.store import Object, Store


def number_of(brand: str, last4: str) -> str:
    """Return the number of the test card of this brand with these last digits."""
    return next(n for n, does in CARDS.items() if does.brand == brand and n.endswith(last4))


def seed_customer(store: Store, account: str, id_: str) -> None:
    if not store.has(account, "customer", id_):
        store.new(account, "customer", "cus", **objects.customer(id=id_))


def seed_saved_card(
    store: Store,
    account: str,
    id_: str,
    customer_id: str,
    number: str,
    expires: tuple[int, int],
    name: str | None,
    zip_: str | None,
) -> None:
    """Create a card on file. `expires` holds the month and the year."""
    if not store.has(account, "payment_method", id_):
        create_card(store, account, number, *expires, name, zip_, id=id_, customer=customer_id)


def seed_intent(
    store: Store,
    account: str,
    id_: str,
    metadata: Object,
    amount: int,
    currency: str,
    *,
    status: str,
    created: int | None = None,
) -> None:
    """Create a payment that succeeded, or one that the bank has not decided (processing)."""
    if store.has(account, "payment_intent", id_):
        return
    when = {} if created is None else {"created": created}
    charge = (
        succeeded(store, account, id_, amount, currency, when) if status == "succeeded" else None
    )
    store.new(
        account,
        "payment_intent",
        "pi",
        **objects.payment_intent(
            amount=amount,
            amount_received=amount if charge else 0,
            client_secret=f"{id_}_secret_seeded",
            currency=currency.lower(),
            id=id_,
            latest_charge=charge,
            metadata=metadata,
            status=status,
            **when,
        ),
    )


def succeeded(
    store: Store, account: str, intent: str, amount: int, currency: str, when: dict[str, Any]
) -> str:
    """Create the charge of such a payment, and return its id."""
    facts = objects.charge(
        amount=amount,
        amount_captured=amount,
        currency=currency.lower(),
        payment_intent=intent,
        **when,
    )
    charge = store.new(account, "charge", "ch", **facts)
    return str(charges.book_charge(store, account, charge["id"])["id"])
