"""SetupIntents: how a card is kept at Stripe without a payment."""

import secrets

from sandbox import charges, customers, methods, objects
from sandbox.errors import StripeError, error, invalid
from sandbox.intents import type_first
from sandbox.store import Object, Store, public_view

OVER = ("succeeded", "canceled")


def create_setup(store: Store, account: str, params: Object) -> Object:
    if customer := params.get("customer"):
        customers.check_customer(store, account, customer)
    setup = store.new(
        account,
        "setup_intent",
        "seti",
        **objects.setup_intent(
            customer=customer,
            metadata=params.get("metadata", {}),
            usage=params.get("usage", "off_session"),
            **objects.ways_to_pay(params),
        ),
    )
    setup["client_secret"] = f"{setup['id']}_secret_{secrets.token_hex(12)}"
    store.save(account, setup)
    store.tell(account, "setup_intent.created", setup)
    return setup


def confirm_setup(store: Store, account: str, id_: str, method: Object) -> Object:
    """Confirm a SetupIntent with a card. Raise StripeError if the bank declines the card."""
    setup = store.find(account, "setup_intent", id_)
    refuse_if_over(setup, "confirm")
    if setup["customer"]:
        customers.check_customer(store, account, setup["customer"])
    setup["payment_method"] = method["id"]
    if methods.behaviour(method).asks:
        setup["status"] = "requires_action"
        setup["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
        store.save(account, setup)
        store.tell(account, "setup_intent.requires_action", setup)
        return setup
    return decide_setup(store, account, setup, method)


def authenticate_setup(store: Store, account: str, id_: str, *, succeed: bool) -> Object:
    """Pass or fail 3-D Secure, as the cardholder does at the bank."""
    setup = store.find(account, "setup_intent", id_)
    if setup["status"] != "requires_action":
        raise invalid(f"It waits for nobody: its status is {setup['status']}.")
    method = store.find(account, "payment_method", setup["payment_method"])
    if not succeed:
        fail_setup(store, account, setup, authentication_failure(method))
        return setup
    try:
        return decide_setup(store, account, setup, method)
    except StripeError:
        return setup


def authentication_failure(method: Object) -> Object:
    """Return the error of a failed 3-D Secure, as events in public reports show it."""
    return error(
        "invalid_request_error",
        "The latest attempt to set up the payment method has failed because authentication failed.",
        "setup_intent_authentication_failure",
        payment_method=public_view(method),
    )


def decide_setup(store: Store, account: str, setup: Object, method: Object) -> Object:
    """Let the bank decide whether the card may be kept."""
    card = methods.behaviour(method)
    if card.code is not None and not card.can_be_kept:
        failure = error(
            "card_error",
            charges.DECLINED,
            card.code,
            decline_code=card.decline_code,
            payment_method=public_view(method),
        )
        fail_setup(store, account, setup, failure)
        raise StripeError(402, **type_first(failure), setup_intent=public_view(setup))
    if setup["customer"]:
        methods.attach(store, account, method, setup["customer"])
    setup.update(status="succeeded", next_action=None, last_setup_error=None)
    store.save(account, setup)
    store.tell(account, "setup_intent.succeeded", setup)
    return setup


def fail_setup(store: Store, account: str, setup: Object, failure: Object) -> None:
    setup.update(status="requires_payment_method", payment_method=None, next_action=None)
    setup["last_setup_error"] = failure
    store.save(account, setup)
    store.tell(account, "setup_intent.setup_failed", setup)


def cancel_setup(store: Store, account: str, id_: str, params: Object) -> Object:
    setup = store.find(account, "setup_intent", id_)
    refuse_if_over(setup, "cancel")
    setup.update(status="canceled", next_action=None)
    setup["cancellation_reason"] = params.get("cancellation_reason")
    store.save(account, setup)
    store.tell(account, "setup_intent.canceled", setup)
    return setup


def refuse_if_over(setup: Object, verb: str) -> None:
    if setup["status"] in OVER:
        raise invalid(
            f"You cannot {verb} this SetupIntent because it has a status of {setup['status']}.",
            "setup_intent_unexpected_state",
            setup_intent=public_view(setup),
        )
