"""State machine of payments, refunds, disputes, and cards on file."""

from collections import Counter
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule
from sqlalchemy import update

from billing.payment_methods import detach
from billing.payments import daily_comparison
from billing.payments.refund import NotRefunded, refund_payment
from billing.stripe import StripeTrouble
from models import PaymentMethod, Practice
from sandbox import customers, methods, reversals
from sandbox.errors import StripeError
from tests.payments.state_machine import DIES, Machine, NewDatabase
from tests.support import card_forms
from tests.support.payments import ACCOUNT, GOOD

NUMBERS = st.sampled_from(
    ["4242424242424242", "5555555555554444", "378282246310005", "4000000000000002"]
)
# Mostly the account of the other rules.
ACCOUNTS = st.sampled_from([ACCOUNT, ACCOUNT, ACCOUNT, f"{ACCOUNT}other", None])
PARTS = st.sampled_from([None, 700, 5_000])


class Reversals(Machine):
    """The payments of one client, with their refunds and disputes."""

    def there(self, what: Any, *given: Any, **named: Any) -> None:
        """Do something at Stripe, if Stripe allows it."""
        with suppress(StripeError), self.portal.store.transaction():
            what(self.portal.store, ACCOUNT, *given, **named)
            self.told[what.__name__] += 1

    def charge(self, k: int) -> dict[str, Any] | None:
        """Return one of the charges; make the first one if there is none."""
        if not self.portal.charges():
            self.run(self.refreshed())
            self.run(self.pay(GOOD, None, False))
        found = self.portal.charges()
        return found[k % len(found)] if found else None

    @rule(k=st.integers(0, 20), part=PARTS, die=DIES)
    def refunds(self, k: int, part: int | None, die: str | None) -> None:
        """Let the operator refund a charge."""
        if charge := self.charge(k):
            self.run(self.refunded(charge["metadata"]["payment"], part), die)

    async def refunded(self, payment_id: str, part: int | None) -> None:
        with suppress(NotRefunded, StripeTrouble):
            await refund_payment(self.portal.payment_context, payment_id, part)
            self.told["refunds"] += 1

    @rule(k=st.integers(0, 20), amount=st.sampled_from([500, 4_000]))
    def refunds_there(self, k: int, amount: int) -> None:
        if charge := self.charge(k):
            params = {"payment_intent": charge["payment_intent"], "amount": str(amount)}
            self.there(reversals.create_refund, params)

    @rule(k=st.integers(0, 20), amount=st.sampled_from([500, 4_000]), hears=st.booleans())
    def refund_fails(self, k: int, amount: int, hears: bool) -> None:
        """Let a refund fail, with or without an earlier event of it."""
        self.refunds_there(k, amount)
        if hears:
            self.run(self.hear(self.portal.store.all("event")))
        if found := self.portal.store.all("refund"):
            self.there(reversals.fail_refund, found[-1]["id"])

    @rule(k=st.integers(0, 20))
    def disputes(self, k: int) -> None:
        charge = self.charge(k)
        if charge and (left := charge["amount"] - charge["amount_refunded"]):
            self.there(reversals.open_dispute, charge["payment_intent"], left)

    @rule(k=st.integers(0, 20), won=st.booleans(), hears=st.booleans())
    def is_decided(self, k: int, won: bool, hears: bool) -> None:
        """Decide a dispute, with or without an earlier event of it."""
        self.disputes(k)
        if hears:
            self.run(self.hear(self.portal.store.all("event")))
        if found := self.portal.store.all("dispute"):
            self.there(reversals.close_dispute, found[k % len(found)]["id"], won=won)


class Aftermath(Reversals):
    """The payments and cards of one client, with their later changes."""

    async def opened(self) -> None:
        await super().opened()
        async with self.portal.engine.begin() as conn:
            await conn.execute(update(Practice).values(clients_remove_cards=True))

    @rule(number=NUMBERS, default=st.booleans(), page_dies=st.booleans(), die=DIES)
    def keeps(self, number: str, default: bool, page_dies: bool, die: str | None) -> None:
        self.run(self.kept(number, default, page_dies), die)

    async def kept(self, number: str, default: bool, page_dies: bool) -> None:
        query = card_forms.PREPARE
        answer = (await self.portal.ask(query, self.portal.bearer, i={})).json()
        prepared = (answer["data"] or {}).get("prepareCard") or {}
        if "setupIntentId" not in prepared:
            return
        card_forms.fill_in(self.portal, prepared["setupIntentId"], number)
        if not page_dies:
            input = {"setupIntentId": prepared["setupIntentId"], "makeDefault": default}
            await self.portal.ask(card_forms.ADD, self.portal.bearer, i=input)
            self.told["keeps"] += 1

    @rule(k=st.integers(0, 20))
    def chooses(self, k: int) -> None:
        self.run(self.card_changed(k, card_forms.MAKE_DEFAULT))

    @rule(k=st.integers(0, 20))
    def removes(self, k: int) -> None:
        self.run(self.card_changed(k, card_forms.REMOVE))

    async def card_changed(self, k: int, query: str) -> None:
        cards = [one for one in await self.portal.all(PaymentMethod) if one.removed_at is None]
        if cards:
            input = {"paymentMethodId": f"crd_{cards[k % len(cards)].id}"}
            await self.portal.ask(query, self.portal.bearer, i=input)

    @rule(k=st.integers(0, 20))
    def detaches_there(self, k: int) -> None:
        found = [one for one in self.portal.store.all("payment_method") if one["customer"]]
        if found:
            self.there(methods.detach_method, found[k % len(found)]["id"], {})

    @rule(k=st.integers(0, 20))
    def deletes_customer(self, k: int) -> None:
        """Delete a customer in Stripe's dashboard."""
        store = self.portal.store
        found = [one for one in store.all("customer", ACCOUNT) if not one.get("deleted")]
        if found:
            self.there(customers.delete, found[k % len(found)]["id"])

    @rule(told=st.booleans())
    def tells_fingerprints(self, told: bool) -> None:
        self.portal.store.set(methods.FINGERPRINTS, told)

    @rule(account=ACCOUNTS)
    def switches_account(self, account: str | None) -> None:
        """Give the practice another account; None turns Online Payments off."""

        async def switched() -> None:
            async with self.portal.engine.begin() as conn:
                await conn.execute(update(Practice).values(stripe_account=account))

        self.run(switched())
        self.told["switches"] += 1

    @rule(die=DIES)
    def compares(self, die: str | None) -> None:
        self.run(daily_comparison.compare_due(self.portal.payment_context), die)

    async def ended(self) -> None:
        await super().ended()
        self.portal.clock.time += daily_comparison.EVERY
        await daily_comparison.compare_due(self.portal.payment_context)
        await super().ended()
        while await detach.detach_cards(self.portal.payment_context):
            pass


def made(new: NewDatabase) -> type[Aftermath]:
    """Return the machine over databases made by `new`, with counters of its own."""
    own = {"new_database": staticmethod(new), "told": Counter()}
    return type("AftermathOf", (Aftermath,), own)
