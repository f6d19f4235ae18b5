"""PaymentMethods: cards, as Stripe keeps and shows them."""

from typing import Any

from sandbox.cards import CARDS, fingerprint
from sandbox.store import Object, Store


def card(
    store: Store,
    account: str,
    number: str,
    month: int,
    year: int,
    name: str | None,
    zip_: str | None,
    **facts: Any,
) -> Object:
    """A new PaymentMethod; the number is known to this double alone."""
    return store.new(
        account,
        "payment_method",
        "pm",
        **{
            "type": "card",
            "customer": None,
            "billing_details": {"name": name, "address": {"postal_code": zip_}},
            "card": {
                "brand": CARDS[number].brand,
                "last4": number[-4:],
                "exp_month": month,
                "exp_year": year,
                "fingerprint": fingerprint(number),
                "number": number,
            },
            **facts,
        },
    )


def shown(method: Object) -> Object:
    """As Stripe shows it: without the number."""
    facts = {name: value for name, value in method["card"].items() if name != "number"}
    return method | {"card": facts}


def expanded(store: Store, account: str, of: Object, params: Object) -> Object:
    """An intent, with the card in it where the call asks for that."""
    wanted: Any = params.get("expand", [])
    if "payment_method" in wanted and of.get("payment_method"):
        method = store.find(account, "payment_method", of["payment_method"])
        return of | {"payment_method": shown(method)}
    return of


def attach(store: Store, account: str, method: Object, customer: str) -> None:
    method["customer"] = customer
    store.save(account, method)
    store.tell(account, "payment_method.attached", shown(method))


def detach(store: Store, account: str, id_: str, _: Object) -> Object:
    method = store.find(account, "payment_method", id_)
    method["customer"] = None
    store.save(account, method)
    store.tell(account, "payment_method.detached", shown(method))
    return shown(method)


def renew(store: Store, account: str, id_: str, month: int, year: int) -> Object:
    """What a bank tells Stripe by itself: the same card, with another expiry."""
    method = store.find(account, "payment_method", id_)
    method["card"] |= {"exp_month": month, "exp_year": year}
    store.save(account, method)
    store.tell(account, "payment_method.automatically_updated", shown(method))
    return shown(method)


def get(store: Store, account: str, id_: str, _: Object) -> Object:
    return shown(store.find(account, "payment_method", id_))
