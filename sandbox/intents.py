"""PaymentIntents: how a card payment goes at Stripe."""

import secrets
import time

from sandbox.cards import CARDS
from sandbox.errors import StripeError, invalid
from sandbox.methods import attach
from sandbox.reversals import dispute
from sandbox.store import Object, Store

# In minor units, of the currencies that have two decimals or none.
SMALLEST = 50
OVER = ("succeeded", "canceled", "processing")


def create(store: Store, account: str, params: Object) -> Object:
    amount = str(params.get("amount", ""))
    if not amount.isdigit():
        raise invalid("Invalid integer: amount", "parameter_invalid_integer", "amount")
    if int(amount) < SMALLEST:
        raise invalid("Amount must be at least $0.50", "amount_too_small", "amount")
    if customer := params.get("customer"):
        store.find(account, "customer", customer)
    intent = store.new(
        account,
        "payment_intent",
        "pi",
        amount=int(amount),
        amount_received=0,
        currency=params["currency"],
        customer=customer,
        payment_method=None,
        metadata=params.get("metadata", {}),
        setup_future_usage=params.get("setup_future_usage"),
        status="requires_payment_method",
        next_action=None,
        last_payment_error=None,
        latest_charge=None,
        canceled_at=None,
    )
    intent["client_secret"] = f"{intent['id']}_secret_{secrets.token_hex(12)}"
    store.save(account, intent)
    store.tell(account, "payment_intent.created", intent)
    return intent


def confirm(store: Store, account: str, id_: str, params: Object) -> Object:
    intent = store.find(account, "payment_intent", id_)
    refuse_if_over(intent, "confirm")
    method = method_of(store, account, intent, params)
    card = CARDS[method["card"]["number"]]
    intent["payment_method"] = method["id"]
    if card.asks:
        intent["status"] = "requires_action"
        intent["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
        store.save(account, intent)
        store.tell(account, "payment_intent.requires_action", intent)
        return intent
    return decided(store, account, intent, method)


def refuse_if_over(intent: Object, what: str) -> None:
    if intent["status"] in OVER:
        raise invalid(
            f"You cannot {what} this PaymentIntent because it has a status of {intent['status']}.",
            "payment_intent_unexpected_state",
            payment_intent=intent,
        )


def method_of(store: Store, account: str, intent: Object, params: Object) -> Object:
    """The card that it is confirmed with: a saved one, or a confirmation token's."""
    if token_id := params.get("confirmation_token"):
        token = token_of(store, account, token_id)
        if token["payment_intent"] is not None:
            raise invalid("This ConfirmationToken was used already.", "confirmation_token_used")
        token["payment_intent"] = intent["id"]
        store.save(account, token)
        return store.find(account, "payment_method", token["method"])
    if not params.get("payment_method"):
        raise invalid("A payment method is needed.", "parameter_missing", "payment_method")
    method = store.find(account, "payment_method", params["payment_method"])
    if method["customer"] is None or method["customer"] != intent["customer"]:
        raise invalid("The PaymentMethod does not belong to the Customer.", param="payment_method")
    return method


def token_of(store: Store, account: str, id_: str) -> Object:
    """A confirmation token, and its card, which are the account's from now on."""
    store.adopt(account, "confirmation_token", id_)
    token = store.find(account, "confirmation_token", id_)
    store.adopt(account, "payment_method", token["method"])
    return token


def decided(store: Store, account: str, intent: Object, method: Object) -> Object:
    """The bank says yes or no."""
    card = CARDS[method["card"]["number"]]
    if card.code is not None:
        decline(store, account, intent, card.code, card.decline_code)
        raise StripeError(
            402, "card_error", "Your card was declined.", **intent["last_payment_error"],
            payment_intent=intent,
        )  # fmt: skip
    charge(store, account, intent, method)
    return intent


def decline(
    store: Store, account: str, intent: Object, code: str, decline_code: str | None
) -> None:
    intent["last_payment_error"] = {"code": code, "decline_code": decline_code}
    intent.update(status="requires_payment_method", payment_method=None, next_action=None)
    store.save(account, intent)
    store.tell(account, "payment_intent.payment_failed", intent)


def charge(store: Store, account: str, intent: Object, method: Object) -> None:
    made = store.new(
        account,
        "charge",
        "ch",
        amount=intent["amount"],
        amount_refunded=0,
        currency=intent["currency"],
        payment_intent=intent["id"],
        payment_method=method["id"],
        metadata=intent["metadata"],
        status="succeeded",
    )
    intent.update(status="succeeded", amount_received=intent["amount"], next_action=None)
    intent.update(latest_charge=made["id"], last_payment_error=None)
    store.save(account, intent)
    if intent["setup_future_usage"] and intent["customer"]:
        attach(store, account, method, intent["customer"])
    store.tell(account, "charge.succeeded", made)
    store.tell(account, "payment_intent.succeeded", intent)
    if CARDS[method["card"]["number"]].is_disputed:
        dispute(store, account, intent["id"])


def cancel(store: Store, account: str, id_: str, _: Object) -> Object:
    intent = store.find(account, "payment_intent", id_)
    refuse_if_over(intent, "cancel")
    intent.update(status="canceled", canceled_at=int(time.time()), next_action=None)
    store.save(account, intent)
    store.tell(account, "payment_intent.canceled", intent)
    return intent


def authenticate(store: Store, account: str, id_: str, *, succeed: bool) -> Object:
    """What the cardholder does at the bank: 3-D Secure, passed or failed."""
    intent = store.find(account, "payment_intent", id_)
    if intent["status"] != "requires_action":
        raise invalid(f"It waits for nobody: its status is {intent['status']}.", "not_waiting")
    method = store.find(account, "payment_method", intent["payment_method"])
    if not succeed:
        decline(store, account, intent, "payment_intent_authentication_failure", None)
        return intent
    try:
        return decided(store, account, intent, method)
    except StripeError:
        return intent
