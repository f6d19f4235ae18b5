"""SetupIntents: how a card is kept at Stripe without a payment."""

import secrets
from typing import Any

from sandbox.cards import CARDS
from sandbox.errors import StripeError, invalid
from sandbox.methods import attach
from sandbox.store import Object, Store

OVER = ("succeeded", "canceled")


def create(store: Store, account: str, params: Object) -> Object:
    if customer := params.get("customer"):
        store.find(account, "customer", customer)
    setup = store.new(
        account,
        "setup_intent",
        "seti",
        customer=customer,
        metadata=params.get("metadata", {}),
        usage=params.get("usage", "off_session"),
        payment_method=None,
        status="requires_payment_method",
        next_action=None,
        last_setup_error=None,
    )
    setup["client_secret"] = f"{setup['id']}_secret_{secrets.token_hex(12)}"
    store.save(account, setup)
    store.tell(account, "setup_intent.created", setup)
    return setup


def confirm(store: Store, account: str, id_: str, method: Object) -> Object:
    """What a page's form does. StripeError, where the bank refuses the card."""
    setup = store.find(account, "setup_intent", id_)
    refuse_if_over(setup, "confirm")
    setup["payment_method"] = method["id"]
    if CARDS[method["card"]["number"]].asks:
        setup["status"] = "requires_action"
        setup["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
        store.save(account, setup)
        store.tell(account, "setup_intent.requires_action", setup)
        return setup
    return decided(store, account, setup, method)


def authenticate(store: Store, account: str, id_: str, *, succeed: bool) -> Object:
    """What the cardholder does at the bank: 3-D Secure, passed or failed."""
    setup = store.find(account, "setup_intent", id_)
    if setup["status"] != "requires_action":
        raise invalid(f"It waits for nobody: its status is {setup['status']}.", "not_waiting")
    if not succeed:
        refuse(store, account, setup, "setup_intent_authentication_failure", None)
        return setup
    try:
        method = store.find(account, "payment_method", setup["payment_method"])
        return decided(store, account, setup, method)
    except StripeError:
        return setup


def decided(store: Store, account: str, setup: Object, method: Object) -> Object:
    card = CARDS[method["card"]["number"]]
    if card.code is not None and not card.can_be_kept:
        error = refuse(store, account, setup, card.code, card.decline_code)
        raise StripeError(402, "card_error", "Your card was declined.", **error)
    attach(store, account, method, setup["customer"])
    setup.update(status="succeeded", next_action=None, last_setup_error=None)
    store.save(account, setup)
    store.tell(account, "setup_intent.succeeded", setup)
    return setup


def refuse(
    store: Store, account: str, setup: Object, code: str, decline_code: str | None
) -> Object:
    error: dict[str, Any] = {"code": code, "decline_code": decline_code}
    setup.update(status="requires_payment_method", payment_method=None, next_action=None)
    setup["last_setup_error"] = error
    store.save(account, setup)
    store.tell(account, "setup_intent.setup_failed", setup)
    return error


def cancel(store: Store, account: str, id_: str, _: Object) -> Object:
    setup = store.find(account, "setup_intent", id_)
    refuse_if_over(setup, "cancel")
    setup.update(status="canceled", next_action=None)
    store.save(account, setup)
    store.tell(account, "setup_intent.canceled", setup)
    return setup


def refuse_if_over(setup: Object, what: str) -> None:
    if setup["status"] in OVER:
        message = f"You cannot {what} this SetupIntent: its status is {setup['status']}."
        raise invalid(message, "setup_intent_unexpected_state", setup_intent=setup)
