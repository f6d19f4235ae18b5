"""The deletion of an erased client's customer at Stripe, which happens after the commit."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from sqlalchemy import make_url

from billing.payment_methods import detach
from models import Detachment, PaymentMethod, StripeCustomer
from sandbox.api import Fault
from server.cli.client_erasure import erase
from server.settings import Settings
from tests.support import postgres
from tests.support.card_forms import keep
from tests.support.leases import run_out
from tests.support.payments import ACCOUNT, paying
from tests.support.portal import KEY

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


async def test_customer_is_deleted_at_stripe_once_it_answers(new_database: NewDatabase) -> None:
    async with new_database() as url, paying(url) as portal:
        await keep(portal)
        is_owned = make_url(url).get_backend_name() == "postgresql"
        owner = postgres.as_owner(url) if is_owned else None
        settings = Settings(
            database_url=url, database_owner_url=owner, token_key=KEY, sandbox_file=":memory:"
        )
        await erase(settings, portal.client_id, "asked", ["retention"])
        (customer,) = await portal.all(StripeCustomer)
        assert not portal.store.find(ACCOUNT, "customer", customer.stripe_id).get("deleted")
        portal.api.faults.append(Fault("customers", 401))
        await detach.detach_cards(portal.payment_context)
        (waiting,) = await portal.all(Detachment)
        assert (waiting.is_customer, waiting.done_at) == (True, None)
        await run_out(portal.engine)
        portal.clock.time += detach.AFTER_REFUSAL
        await detach.detach_cards(portal.payment_context)
        (done,) = await portal.all(Detachment)
        assert done.done_at is not None
        assert portal.store.find(ACCOUNT, "customer", customer.stripe_id).get("deleted")
        assert (await portal.all(StripeCustomer))[0].deleted_at is not None
        assert [card.cardholder_name for card in await portal.all(PaymentMethod)] == [None]
        # What happens twice changes nothing.
        await portal.hears_all()
        await detach.detach_cards(portal.payment_context)
        assert await portal.all(Detachment) == [done]
