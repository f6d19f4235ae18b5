"""Stripe's API: the calls that this project makes. Responses are returned as our own values."""

import datetime as dt
from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING

import httpx

from billing.stripe import webhook_signatures
from billing.stripe.calls import (
    Missing,
    Rejected,
    call_once,
    call_repeatedly,
    request_options,
    sdk_services,
    to_dict,
)
from billing.stripe.currencies import to_stripe
from billing.stripe.lists import StripeLists
from billing.stripe.objects import (
    Card,
    Event,
    Intent,
    Order,
    Refunded,
    Setup,
    order_metadata,
    parse_card,
    parse_intent,
    parse_refund,
    parse_setup,
    present,
)
from billing.stripe.traced_client import TracedClient

if TYPE_CHECKING:
    from stripe.params import (
        ConfirmationTokenRetrieveParams,
        CustomerCreateParams,
        CustomerDeleteParams,
        CustomerRetrieveParams,
        PaymentIntentCancelParams,
        PaymentIntentConfirmParams,
        PaymentIntentCreateParams,
        PaymentIntentRetrieveParams,
        PaymentMethodDetachParams,
        PaymentMethodRetrieveParams,
        RefundCreateParams,
        SetupIntentCancelParams,
        SetupIntentCreateParams,
        SetupIntentRetrieveParams,
    )

CONFIRM_TIMEOUT_S, TIMEOUT_S = 20.0, 10.0
# Objects returned with a PaymentIntent: its card, and the charge with its time and Stripe's fee.
WHOLE = ["payment_method", "latest_charge.balance_transaction"]


class Stripe(StripeLists):
    """Stripe's API, over one HTTP client of one event loop."""

    def __init__(
        self,
        api_key: str,
        *,
        base: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        webhook_secrets: Sequence[str] = (),
    ) -> None:
        self.webhook_secrets = webhook_secrets
        # Certificates are read for each HTTP client, and a transport of its own needs none.
        self.http = TracedClient(timeout=TIMEOUT_S, verify_ssl_certs=transport is None)
        if transport is not None:
            self.http._client_async = httpx.AsyncClient(transport=transport)
        self.slow_http = copy(self.http)
        self.slow_http._timeout = CONFIRM_TIMEOUT_S
        self.api = sdk_services(api_key, base, self.http)
        self.slow_api = sdk_services(api_key, base, self.slow_http)

    async def close(self) -> None:
        await self.http._client_async.aclose()

    async def verify(self) -> None:
        """Raise Forbidden if Stripe does not know the key."""
        await call_repeatedly(lambda _: self.api.accounts.retrieve_current_async())

    # -- payments ----------------------------------------------------------------------------------

    async def create(self, account: str, order: Order) -> Intent:
        """Create an unconfirmed PaymentIntent, which can't move money.

        The same payment gets the same PaymentIntent. Raise NotChargeable if Stripe can't represent
        the amount.
        """
        params: PaymentIntentCreateParams = {
            "amount": to_stripe(order.amount_minor, order.currency),
            "currency": order.currency.lower(),
            "payment_method_types": ["card"],
            "metadata": order_metadata(order),
        }
        if order.customer is not None:
            params["customer"] = order.customer
        if order.save_card:
            params["setup_future_usage"] = "on_session"
        create, key = self.api.payment_intents.create_async, f"{order.payment_id}-create"
        made = await call_repeatedly(
            lambda n: create(params, request_options(account, f"{key}-{n}"))
        )
        return parse_intent(to_dict(made))

    async def confirm(
        self,
        payment_id: str,
        account: str,
        intent_id: str,
        *,
        method: str | None = None,
        token: str | None = None,
    ) -> Intent:
        """Confirm a PaymentIntent by a saved card or by a new card's token: this moves money.

        The idempotency key never changes, so the bank is asked once for a payment.
        """
        params: PaymentIntentConfirmParams = {"use_stripe_sdk": True, "expand": WHOLE}
        if method is not None:
            params["payment_method"] = method
        elif token is not None:
            params["confirmation_token"] = token
        confirm, named = self.slow_api.payment_intents.confirm_async, f"{payment_id}-confirm"
        return parse_intent(
            to_dict(
                await call_once(lambda: confirm(intent_id, params, request_options(account, named)))
            )
        )

    async def cancel(self, account: str, intent_id: str) -> Intent:
        """Cancel a PaymentIntent: the fence, after which no charge can follow.

        Raise Rejected if it is over or the money may have moved.
        """
        params: PaymentIntentCancelParams = {"expand": WHOLE}
        cancel = self.api.payment_intents.cancel_async
        return parse_intent(
            to_dict(
                await call_repeatedly(lambda _: cancel(intent_id, params, request_options(account)))
            )
        )

    async def intent(self, account: str, intent_id: str) -> Intent:
        params: PaymentIntentRetrieveParams = {"expand": WHOLE}
        retrieve = self.api.payment_intents.retrieve_async
        return parse_intent(
            to_dict(
                await call_repeatedly(
                    lambda _: retrieve(intent_id, params, request_options(account))
                )
            )
        )

    # -- cards -------------------------------------------------------------------------------------

    async def customer(
        self,
        account: str,
        practice_id: str,
        client_id: str | None,
        contact_id: str | None,
        number: int,
    ) -> str:
        """Create the customer of a client or of a contact, and return its id.

        Each `number` creates one customer, however often the call is made. A new number is only
        used after Stripe has deleted the previous customer.
        """
        named = present({"client": client_id, "contact": contact_id, "practice": practice_id})
        params: CustomerCreateParams = {"metadata": named}
        create, key = (
            self.api.customers.create_async,
            f"{client_id or contact_id}-customer-{number}",
        )
        made = await call_repeatedly(
            lambda n: create(params, request_options(account, f"{key}-{n}"))
        )
        return str(made.id)

    async def has_customer(self, account: str, customer: str) -> bool:
        """Return whether Stripe has a customer. Deleted customers can still be retrieved."""
        params: CustomerRetrieveParams = {}
        retrieve = self.api.customers.retrieve_async
        try:
            found = await call_repeatedly(
                lambda _: retrieve(customer, params, request_options(account))
            )
        except Missing:
            return False
        return not to_dict(found).get("deleted")

    async def delete_customer(self, account: str, customer: str) -> None:
        """Delete a customer with its cards. Raise Missing if Stripe has none, or has deleted it."""
        params: CustomerDeleteParams = {}
        delete = self.api.customers.delete_async
        await call_repeatedly(lambda _: delete(customer, params, request_options(account)))

    async def token(self, account: str, token_id: str) -> Card:
        """Return the card of a page's confirmation token. Raise Rejected if the token is not of a
        card.
        """
        params: ConfirmationTokenRetrieveParams = {}
        retrieve = self.api.confirmation_tokens.retrieve_async
        found = await call_repeatedly(
            lambda _: retrieve(token_id, params, request_options(account))
        )
        preview = to_dict(found).get("payment_method_preview") or {}
        if not preview.get("card"):
            raise Rejected("not a card's token")
        return parse_card(preview)

    async def prepare(
        self,
        account: str,
        practice_id: str,
        client_id: str,
        contact_id: str | None,
        setup_id: str,
        customer: str,
        consent_version: str,
    ) -> Setup:
        """Create a SetupIntent for a page's form; its metadata names the client, the contact who
        opened the form, and the form.
        """
        named = {
            "client": client_id,
            "contact": contact_id,
            "practice": practice_id,
            "setup": setup_id,
            "consent": consent_version,
        }
        params: SetupIntentCreateParams = {
            "customer": customer,
            "usage": "on_session",
            "payment_method_types": ["card"],
            "metadata": present(named),
        }
        create, key = self.api.setup_intents.create_async, f"{setup_id}-setup"
        made = await call_repeatedly(
            lambda n: create(params, request_options(account, f"{key}-{n}"))
        )
        return parse_setup(to_dict(made))

    async def setup(self, account: str, setup_id: str) -> Setup:
        params: SetupIntentRetrieveParams = {"expand": ["payment_method"]}
        retrieve = self.api.setup_intents.retrieve_async
        return parse_setup(
            to_dict(
                await call_repeatedly(
                    lambda _: retrieve(setup_id, params, request_options(account))
                )
            )
        )

    async def abandon(self, account: str, setup_id: str) -> Setup:
        """Cancel a SetupIntent, so that no more cards are tried with it."""
        params: SetupIntentCancelParams = {"expand": ["payment_method"]}
        cancel = self.api.setup_intents.cancel_async
        return parse_setup(
            to_dict(
                await call_repeatedly(lambda _: cancel(setup_id, params, request_options(account)))
            )
        )

    async def method(self, account: str, method_id: str) -> Card:
        """Return a card as Stripe has it now."""
        params: PaymentMethodRetrieveParams = {}
        retrieve = self.api.payment_methods.retrieve_async
        return parse_card(
            to_dict(
                await call_repeatedly(
                    lambda _: retrieve(method_id, params, request_options(account))
                )
            )
        )

    async def detach(self, account: str, method_id: str) -> None:
        """Detach a card at Stripe. Raise Rejected if it is attached to no customer."""
        params: PaymentMethodDetachParams = {}
        detach = self.api.payment_methods.detach_async
        await call_repeatedly(lambda _: detach(method_id, params, request_options(account)))

    # -- refunds and disputes ----------------------------------------------------------------------

    async def refund(
        self,
        account: str,
        practice_id: str,
        refund_id: str,
        intent_id: str,
        amount_minor: int,
        currency: str,
        *,
        key_hash: str,
        invoice_id: str | None,
    ) -> Refunded:
        """Refund an amount of a payment, once for each refund id."""
        named = {"refund": refund_id, "practice": practice_id, "key": key_hash}
        if invoice_id is not None:
            named["invoice"] = invoice_id
        params: RefundCreateParams = {
            "payment_intent": intent_id,
            "amount": to_stripe(amount_minor, currency),
            "metadata": named,
        }
        create, key = self.slow_api.refunds.create_async, f"{refund_id}-refund"
        return parse_refund(
            to_dict(await call_once(lambda: create(params, request_options(account, key))))
        )

    # -- events ------------------------------------------------------------------------------------

    def event(self, body: bytes, signature: str | None, now: dt.datetime) -> Event:
        """Return the event of a webhook that Stripe has signed just now. Raise NotAnEvent
        otherwise.
        """
        return webhook_signatures.event(body, signature, self.webhook_secrets, now)
