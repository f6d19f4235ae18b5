"""The mutations of payments: their input, and their outcome."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Row

from billing.errors import (
    AmountTooLargeError,
    AmountTooSmallError,
    CardUnusableError,
    ErrorCode,
    InvalidInputError,
    NotFoundError,
    OnlinePaymentsOffError,
    PaymentsUnavailableError,
    UserError,
)
from billing.payment_methods.store import is_over
from billing.payments import confirm, start
from billing.payments.confirm import PaymentSnapshot
from billing.payments.start import SOURCE, PaymentRequest
from billing.payments.status import DECLINE_MESSAGES, RETRYABLE
from billing.postal_codes import has_postal_codes
from billing.stripe import Rejected, Unknown, currencies
from billing.stripe.objects import Card
from models import PaymentRefusal, PaymentState
from resolvers.mutations import lookup
from resolvers.mutations.amounts import to_minor
from resolvers.mutations.inputs import (
    CardToCharge,
    PaymentChoice,
    PayOrder,
    SourceChoice,
)
from resolvers.mutations.result import (
    MutationContext,
    Outcome,
    catch_user_errors,
    error_outcome,
    read_id,
    stripe_unavailable,
)

KEY_LENGTHS = range(16, 256)
TOKEN = re.compile(r"ctoken_[0-9A-Za-z]{8,100}")
RETRY_AFTER_S = 3
EXPECTED = ("input", "expectedAmount")
NEW_CARD = (*SOURCE, "newCard")


async def pay(mutation: MutationContext, input: PayOrder) -> Outcome:
    """Pay the balance, or one invoice."""
    return await catch_user_errors(lambda: pay_outcome(mutation, input))


async def refresh_payment(mutation: MutationContext, input: PaymentChoice) -> Outcome:
    """Get the state of a payment from Stripe."""
    return await catch_user_errors(lambda: with_payment(mutation, input, confirm.read_from_stripe))


async def cancel_payment(mutation: MutationContext, input: PaymentChoice) -> Outcome:
    """Cancel a payment. If the money has already moved, the payment succeeds."""
    return await catch_user_errors(lambda: with_payment(mutation, input, confirm.cancel_or_settle))


async def pay_outcome(mutation: MutationContext, input: PayOrder) -> Outcome:
    wanted, account, token = await payment_request(mutation, input)
    if token is not None and not await start.is_repeated(mutation.payment_context, wanted):
        wanted = wanted.with_card(await new_card(mutation, account, token))
    payment_id = await start.start_payment(mutation.payment_context, wanted)
    return snapshot_outcome(
        mutation,
        await confirm.advance(mutation.payment_context, wanted.practice_id, payment_id, token),
    )


async def with_payment(
    mutation: MutationContext, input: PaymentChoice, do: Callable[..., Awaitable[PaymentSnapshot]]
) -> Outcome:
    id_ = read_id(input.payment_id, "pmt", ("input", "paymentId"))
    payment_id = await lookup.manageable_payment(mutation, id_)
    return snapshot_outcome(
        mutation, await do(mutation.payment_context, mutation.viewer.practice_id, payment_id)
    )


# -- input -----------------------------------------------------------------------------------------


async def payment_request(
    mutation: MutationContext, input: PayOrder
) -> tuple[PaymentRequest, str, str | None]:
    """Return the requested payment, the practice's Stripe account, and a new card's token.

    Nothing is written yet.
    """
    if len(input.idempotency_key) not in KEY_LENGTHS:
        raise InvalidInputError("A key has 16 to 255 characters.", ("input", "idempotencyKey"))
    expected = to_minor(input.expected_amount, mutation.viewer.currency, EXPECTED)
    owner, invoice_id = await payer(mutation, input)
    new, saved = chosen_source(input.source)
    wanted = PaymentRequest(
        mutation.viewer.practice_id,
        owner.id,
        mutation.viewer.contact_id,
        invoice_id,
        expected,
        hashlib.sha256(input.idempotency_key.encode()).hexdigest(),
        await find_saved_card(mutation, owner.id, saved) if saved is not None else None,
        has_new_card=new is not None,
        save_card=new is not None and new.save_card,
        make_default=new is not None and new.make_default,
        address_hash=mutation.address_hash,
    )
    return wanted, owner.stripe_account, new.confirmation_token if new is not None else None


async def payer(mutation: MutationContext, input: PayOrder) -> tuple[Row[Any], str | None]:
    """Return the client, and the invoice's id if the payment is for an invoice."""
    viewer, client_id, invoice_id = mutation.viewer, None, None
    if input.invoice_id is not None:
        invoice_id = read_id(input.invoice_id, "inv", ("input", "invoiceId"))
    if input.client_id is not None:
        client_id = read_id(input.client_id, "cli", ("input", "clientId"))
    elif invoice_id is None:
        client_id = viewer.sole_client_id
        if client_id is None:
            raise InvalidInputError("The client's id is required.", ("input", "clientId"))
    owner = await lookup.paying_client(mutation, client_id, invoice_id)
    if owner.stripe_account is None:
        raise OnlinePaymentsOffError("The practice takes no payments online.")
    return owner, invoice_id


def chosen_source(source: SourceChoice) -> tuple[CardToCharge | None, str | None]:
    """Return the new card or the id of the saved one; neither if credit covers the amount."""
    if source.new_card is not None and source.new_card.value is not None:
        new = source.new_card.value
        if new.make_default and not new.save_card:
            raise InvalidInputError(
                "Only a saved card can be the Default Card.", (*NEW_CARD, "makeDefault")
            )
        if not TOKEN.fullmatch(new.confirmation_token):
            raise InvalidInputError(
                "This is not a confirmation token (ctoken_…).", (*NEW_CARD, "confirmationToken")
            )
        return new, None
    if source.payment_method_id is not None and source.payment_method_id.value is not None:
        path = (*SOURCE, "paymentMethodId")
        return None, read_id(source.payment_method_id.value, "crd", path)
    if source.credit is None or not source.credit.value:
        raise InvalidInputError("Pass `credit: true` or a card.", (*SOURCE, "credit"))
    return None, None


async def find_saved_card(mutation: MutationContext, client_id: str, card_id: str) -> Row[Any]:
    path = (*SOURCE, "paymentMethodId")
    card = await lookup.card_on_file(mutation, client_id, card_id)
    if card is None:
        raise NotFoundError("There is no such card on file.", path)
    if is_over(card, mutation.today):
        raise CardUnusableError("The card has expired: use another card.", path)
    return card


async def new_card(mutation: MutationContext, account: str, token: str) -> Card:
    """Return the card of a page's token, with the name and postal code that the bank checks."""
    path = (*NEW_CARD, "confirmationToken")
    try:
        card = await mutation.payment_context.stripe.token(account, token)
    except Rejected:
        raise InvalidInputError(
            "The confirmation token does not exist or has expired.", path
        ) from None
    except Unknown:
        raise stripe_unavailable() from None
    if not is_complete(card):
        raise InvalidInputError("The cardholder's name and billing postal code are required.", path)
    return card


def is_complete(card: Card) -> bool:
    """Return whether a new card has what the bank checks. A wallet has asked its cardholder."""
    if card.is_of_wallet:
        return True
    return bool(card.name and (card.zip or not has_postal_codes(card.country)))


# -- outcomes --------------------------------------------------------------------------------------

TYPES = {
    PaymentState.CREATED: "PayProcessing",
    PaymentState.CONFIRMING: "PayProcessing",
    PaymentState.PROCESSING: "PayProcessing",
    PaymentState.SUCCEEDED: "PaySucceeded",
    PaymentState.CANCELED: "PayCanceled",
    PaymentState.FAILED: "CardDeclined",
}


def snapshot_outcome(mutation: MutationContext, standing: PaymentSnapshot) -> Outcome:
    if standing.refusal is not None:
        return error_outcome(stripe_refusal(standing.refusal, mutation.viewer.currency))
    values: dict[str, Any] = {"payment_id": standing.payment_id}
    if standing.state is PaymentState.REQUIRES_ACTION:
        # Without Stripe's response, the secret for the cardholder's confirmation is unknown.
        if standing.client_secret is None:
            return Outcome("PayProcessing", values | {"retry_after_s": RETRY_AFTER_S})
        return Outcome("PayRequiresAction", values | {"client_secret": standing.client_secret})
    if standing.reason is not None and standing.state is PaymentState.FAILED:
        values |= {
            "reason": standing.reason,
            "is_retryable": standing.reason in RETRYABLE,
            "code": ErrorCode.CARD_DECLINED,
            "message": DECLINE_MESSAGES[standing.reason],
        }
    return Outcome(TYPES[standing.state], values | {"retry_after_s": RETRY_AFTER_S})


def stripe_refusal(reason: PaymentRefusal, currency: str) -> UserError:
    """Return the refusal of a payment that Stripe did not start.

    The minimum is Stripe's published one. An account with payouts in another currency may have a
    higher one, which Stripe does not publish.
    """
    match reason:
        case PaymentRefusal.AMOUNT_TOO_SMALL:
            return AmountTooSmallError(currencies.MINIMUM.get(currency))
        case PaymentRefusal.AMOUNT_TOO_LARGE:
            return AmountTooLargeError(currencies.largest_charge(currency))
        case PaymentRefusal.PAYMENTS_UNAVAILABLE:
            return PaymentsUnavailableError()
