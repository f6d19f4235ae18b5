"""What a demo says has been at Stripe all along: customers, saved cards, a payment under way."""

from sandbox.cards import CARDS
from sandbox.errors import StripeError
from sandbox.methods import card
from sandbox.store import Store


def number_of(brand: str, last4: str) -> str:
    """The test card of this brand that ends so."""
    return next(n for n, does in CARDS.items() if does.brand == brand and n.endswith(last4))


def has(store: Store, account: str, kind: str, id_: str) -> bool:
    try:
        store.find(account, kind, id_)
    except StripeError:
        return False
    return True


def customer(store: Store, account: str, id_: str) -> None:
    if not has(store, account, "customer", id_):
        store.new(account, "customer", "cus", id=id_, metadata={})


def saved_card(
    store: Store,
    account: str,
    id_: str,
    customer_id: str,
    number: str,
    expires: tuple[int, int],
    name: str | None,
    zip_: str | None,
) -> None:
    """`expires`: the month and the year."""
    if not has(store, account, "payment_method", id_):
        card(store, account, number, *expires, name, zip_, id=id_, customer=customer_id)


def payment(
    store: Store,
    account: str,
    id_: str,
    payment_id: str,
    amount: int,
    currency: str,
    *,
    status: str,
) -> None:
    """A payment that succeeded, or one that the bank has not decided (processing)."""
    if has(store, account, "payment_intent", id_):
        return
    charge = succeeded(store, account, id_, amount, currency) if status == "succeeded" else None
    store.new(
        account,
        "payment_intent",
        "pi",
        id=id_,
        amount=amount,
        amount_received=amount if charge else 0,
        currency=currency.lower(),
        customer=None,
        payment_method=None,
        metadata={"payment": payment_id},
        setup_future_usage=None,
        status=status,
        next_action=None,
        last_payment_error=None,
        latest_charge=charge,
        client_secret=f"{id_}_secret_seeded",
    )


def succeeded(store: Store, account: str, intent: str, amount: int, currency: str) -> str:
    """The charge of such a payment; its id."""
    made = store.new(
        account,
        "charge",
        "ch",
        amount=amount,
        amount_refunded=0,
        currency=currency.lower(),
        payment_intent=intent,
        payment_method=None,
        metadata={},
        status="succeeded",
    )
    return str(made["id"])
