"""Confirmation tokens: the card of a page's form, to be used once."""

from sandbox import objects
from sandbox.errors import invalid
from sandbox.store import PRIVATE, Object, Store, private, public_view

VALID_S = 12 * 60 * 60


def new(store: Store, account: str, method: Object, charge: Object) -> Object:
    """Create a token of a card without a customer.

    `charge` holds the amount and the currency of the form, if known.
    """
    preview = {name: method[name] for name in ("type", "card", "billing_details")}
    preview |= {"allow_redisplay": "unspecified", "customer": None, "customer_account": None}
    facts = {"payment_method_preview": preview, "expires_at": int(store.now()) + VALID_S}
    made = objects.confirmation_token(**facts) | {
        PRIVATE: {"method": method["id"], "charge": charge}
    }
    return store.new(account, "confirmation_token", "ctoken", **made)


def find_token(store: Store, account: str, id_: str, param: str | None = None) -> Object:
    """Return a token. It and its card belong to this account from now on."""
    store.adopt(account, "confirmation_token", id_)
    token = store.find(account, "confirmation_token", id_, param)
    store.adopt(account, "payment_method", private(token)["method"])
    return token


def get_token(store: Store, account: str, id_: str, _: Object) -> Object:
    return public_view(find_token(store, account, id_))


def use_token(store: Store, account: str, id_: str, intent: Object) -> Object:
    """Return the card of a token, and reserve the token for this intent."""
    token = find_token(store, account, id_, "confirmation_token")
    if token["payment_intent"] is not None:
        raise invalid(
            "This ConfirmationToken has already been used to confirm an intent.",
            None,
            "confirmation_token",
        )
    if token["expires_at"] < store.now():
        raise invalid("This ConfirmationToken has expired.", None, "confirmation_token")
    for name, value in private(token)["charge"].items():
        if value != intent[name]:
            raise invalid(
                f"The {name} of the form ({value}) does not match the PaymentIntent's"
                f" ({intent[name]}).",
                None,
                name,
            )
    token["payment_intent"] = intent["id"]
    store.save(account, token)
    return store.find(account, "payment_method", private(token)["method"])
