"""PaymentIntents: the life of a card payment at Stripe."""

import secrets

from sandbox import charges, customers, methods, objects, tokens
from sandbox.currencies import check_amount
from sandbox.errors import StripeError, error, invalid
from sandbox.reversals import open_dispute
from sandbox.store import Object, Store, public_view

# The statuses in which an intent can't be confirmed or cancelled.
UNCONFIRMABLE = ("succeeded", "canceled", "processing", "requires_capture")
UNCANCELABLE = ("succeeded", "canceled", "processing")
USE_SDK = {"type": "use_stripe_sdk", "use_stripe_sdk": {}}


def create_intent(store: Store, account: str, params: Object) -> Object:
    amount, currency = int(params["amount"]), params["currency"].lower()
    check_amount(amount, currency)
    if customer := params.get("customer"):
        customers.check_customer(store, account, customer)
    intent = store.new(
        account,
        "payment_intent",
        "pi",
        **objects.payment_intent(
            amount=amount,
            currency=currency,
            customer=customer,
            metadata=params.get("metadata", {}),
            setup_future_usage=params.get("setup_future_usage"),
            **objects.ways_to_pay(params),
        ),
    )
    intent["client_secret"] = f"{intent['id']}_secret_{secrets.token_hex(12)}"
    store.save(account, intent)
    store.tell(account, "payment_intent.created", intent)
    return intent


def find_intent(store: Store, account: str, id_: str) -> Object:
    """Return an intent with all of its fields, even if another program's intent has fewer."""
    return objects.payment_intent() | store.find(account, "payment_intent", id_)


def confirm_intent(store: Store, account: str, id_: str, params: Object) -> Object:
    intent = find_intent(store, account, id_)
    refuse_if(intent, UNCONFIRMABLE, "confirm")
    check_return_url(intent, params)
    if intent["customer"]:
        customers.check_customer(store, account, intent["customer"])
    method = method_of(store, account, intent, params)
    intent["payment_method"] = method["id"]
    if methods.behaviour(method).asks:
        intent.update(status="requires_action", next_action=next_action(params))
        store.save(account, intent)
        store.tell(account, "payment_intent.requires_action", intent)
        return intent
    return decide_intent(store, account, intent, method)


def next_action(params: Object) -> Object:
    """Return the cardholder's next step: in Stripe.js, or on a page of Stripe and back."""
    if params.get("use_stripe_sdk") or "return_url" not in params:
        return USE_SDK
    redirect = {"return_url": params["return_url"], "url": "https://hooks.stripe.com/redirect/x"}
    return {"type": "redirect_to_url", "redirect_to_url": redirect}


def check_return_url(intent: Object, params: Object) -> None:
    """Refuse an intent that may redirect its payer, without a return address."""
    automatic = intent["automatic_payment_methods"] or {}
    if automatic.get("allow_redirects") == "always" and "return_url" not in params:
        raise invalid(
            "This PaymentIntent is configured to accept payment methods enabled in your Dashboard."
            " Because some of these payment methods might redirect your customer off of your page,"
            " you must provide a `return_url`."
        )


def refuse_if(intent: Object, statuses: tuple[str, ...], verb: str) -> None:
    if intent["status"] in statuses:
        raise invalid(
            f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}.",
            "payment_intent_unexpected_state",
            payment_intent=public_view(intent),
        )


def method_of(store: Store, account: str, intent: Object, params: Object) -> Object:
    """Return the card to confirm with: a saved one, or the card of a confirmation token."""
    named = [name for name in ("confirmation_token", "payment_method") if name in params]
    if len(named) == 2:
        raise invalid("You may only specify one of these parameters: confirmation_token,"
                      " payment_method.")  # fmt: skip
    if not named:
        raise invalid(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            "payment_intent_unexpected_state",
            payment_intent=public_view(intent),
        )
    if named == ["confirmation_token"]:
        id_ = params["confirmation_token"]
        return tokens.use_token(store, account, id_, intent)
    method = store.find(account, "payment_method", params["payment_method"], "payment_method")
    methods.check_usable(method)
    if method["customer"] is None or method["customer"] != intent["customer"]:
        raise invalid(
            "The provided PaymentMethod cannot be attached or used: it belongs to another Customer"
            " than this PaymentIntent.",
            None,
            "payment_method",
        )
    return method


def decide_intent(store: Store, account: str, intent: Object, method: Object) -> Object:
    """Let the bank approve or decline."""
    card = methods.behaviour(method)
    if card.code is not None:
        made = charges.create_charge(
            store, account, intent, method, code=card.code, decline_code=card.decline_code
        )
        failure = charges.declined(made, method, card.code, card.decline_code)
        intent["latest_charge"] = made["id"]
        fail_intent(store, account, intent, failure)
        store.tell(account, "charge.failed", made)
        raise StripeError(402, **type_first(failure), payment_intent=public_view(intent))
    capture(store, account, intent, method)
    return intent


def type_first(failure: Object) -> Object:
    """Return an error's facts as the parameters of StripeError."""
    facts = {name: value for name, value in failure.items() if name not in ("type", "doc_url")}
    return {"type_": failure["type"], **facts}


def fail_intent(store: Store, account: str, intent: Object, failure: Object) -> None:
    intent.update(status="requires_payment_method", payment_method=None, next_action=None)
    intent["last_payment_error"] = failure
    store.save(account, intent)
    store.tell(account, "payment_intent.payment_failed", intent)


def capture(store: Store, account: str, intent: Object, method: Object) -> None:
    """Move the money, and keep the card if requested."""
    made = charges.create_charge(store, account, intent, method)
    intent.update(status="succeeded", amount_received=intent["amount"], next_action=None)
    intent.update(latest_charge=made["id"], last_payment_error=None)
    store.save(account, intent)
    if intent["setup_future_usage"] and intent["customer"] and method["customer"] is None:
        methods.attach(store, account, method, intent["customer"])
    elif method["customer"] is None:
        methods.remove_from_customer(store, account, method)
    store.tell(account, "charge.succeeded", made)
    store.tell(account, "payment_intent.succeeded", intent)
    if methods.behaviour(method).is_disputed:
        open_dispute(store, account, intent["id"])


def cancel_intent(store: Store, account: str, id_: str, params: Object) -> Object:
    intent = find_intent(store, account, id_)
    refuse_if(intent, UNCANCELABLE, "cancel")
    intent.update(status="canceled", canceled_at=int(store.now()), next_action=None)
    intent.update(cancellation_reason=params.get("cancellation_reason"), amount_capturable=0)
    store.save(account, intent)
    store.tell(account, "payment_intent.canceled", intent)
    return intent


def authenticate_intent(store: Store, account: str, id_: str, *, succeed: bool) -> Object:
    """Pass or fail 3-D Secure, as the cardholder does at the bank."""
    intent = find_intent(store, account, id_)
    if intent["status"] != "requires_action":
        raise invalid(f"It waits for nobody: its status is {intent['status']}.")
    method = store.find(account, "payment_method", intent["payment_method"])
    if not succeed:
        fail_intent(store, account, intent, not_authenticated(method))
        return intent
    try:
        return decide_intent(store, account, intent, method)
    except StripeError:
        return intent


def not_authenticated(method: Object) -> Object:
    return error(
        "invalid_request_error",
        "The provided PaymentMethod has failed authentication. You can provide"
        " payment_method_data or a new PaymentMethod to attempt to fulfill this PaymentIntent"
        " again.",
        "payment_intent_authentication_failure",
        payment_method=public_view(method),
    )
