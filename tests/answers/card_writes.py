"""Writes about cards: payments, cards on file, refunds and disputes, as people and Stripe make
them.

A person pays on the page, a bank answers at Stripe, and Stripe's event reaches a server, or the
server's own reconciler asks.
"""

import datetime as dt
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.payments import reconcile
from models import Payment, PaymentMethod, PaymentState
from sandbox import intents, methods, reversals
from tests.answers.api_writes import random_key
from tests.answers.kinds import NotMade, Write
from tests.answers.servers import Judge, Server
from tests.answers.stripe_double import StripeDouble
from tests.support.programs import key, mutation

GOOD, ASKS, DECLINED = "4242424242424242", "4000002500003155", "4000000000000002"
CARDS = (GOOD, "5555555555554444", "378282246310005")
# The currencies of practices that take cards.
CURRENCIES = ("USD", "JPY")
STANDING = """{ client { id
  canPay { isAllowed reason } balance { payable { amount currency } }
  paymentMethods { id isExpired isDefault } } }"""
PAY = "mutation ($i: PayInput!) { pay(input: $i) { __typename ... on UserError { code } } }"
INVOICE = "query ($id: ID!) { node(id: $id) { ... on Invoice { payable { amount currency } } } }"
CANCEL = "mutation ($id: ID!) { cancelPayment(input: {paymentId: $id}) { __typename } }"
REFRESH = "mutation ($id: ID!) { refreshPayment(input: {paymentId: $id}) { __typename } }"
PREPARE = """mutation { prepareCard(input: {}) { __typename
  ... on CardPrepared { setupIntentId } } }"""
ADD = "mutation ($id: ID!) { addCard(input: {setupIntentId: $id}) { __typename } }"
MAKE_DEFAULT = "mutation ($id: ID!) { makeDefault(input: {paymentMethodId: $id}) { __typename } }"
REMOVE = """mutation ($i: RemoveCardInput!) { removeCard(input: $i) { __typename } }"""


class CardWriter:
    """A writer of everything that happens with cards, over any of the servers."""

    def __init__(
        self,
        judge: Judge,
        double: StripeDouble,
        engine: AsyncEngine,
        chance: random.Random,
    ) -> None:
        self.judge, self.double, self.engine, self.chance = judge, double, engine, chance

    async def write(self) -> Write:
        """Return a random write of a client."""
        kind, make = self.chance.choice([*KINDS.items()])
        who = await self.payer(self.chance.choice(CURRENCIES))
        return Write(kind, who, lambda: make(self, who))

    async def payer(self, currency: str) -> str:
        """Return a client of a practice, if possible one who owes something and may pay now."""
        payers = [who for who in self.judge.secrets if who.startswith(f"{currency} client ")]
        self.chance.shuffle(payers)
        chosen = payers[0]
        for who in payers:
            with suppress(NotMade):
                standing = await self.ask(who, "client", STANDING)
                if standing["canPay"]["isAllowed"]:
                    chosen = who
                    if is_usual(standing["balance"]["payable"]):
                        break
        return chosen

    @property
    def server(self) -> Server:
        return self.chance.choice([*self.judge.keeping, self.judge.plain])

    async def ask(self, who: str, field: str, query: str, **variables: Any) -> dict[str, Any]:
        response = await self.server.send(query, self.judge.secrets[who], variables=variables)
        data = response.json().get("data") or {}
        if data.get(field) is None:
            raise NotMade(response.text[:120])
        result: dict[str, Any] = data[field]
        return result

    # -- payments ----------------------------------------------------------------------------------

    async def pay(self, who: str, number: str, wanted: str, *, save: bool = False) -> None:
        """Pay with a new card; raise NotMade for another result than the wanted one."""
        card = {"confirmationToken": self.double.token(number), "saveCard": save}
        await self.send_payment(who, {"newCard": card}, wanted)

    async def send_payment(self, who: str, source: dict[str, Any], wanted: str) -> None:
        due = await self.due(who)
        asked = due | {"idempotencyKey": random_key(self.chance), "source": source}
        expect(await self.ask(who, "pay", PAY, i=asked), wanted)

    async def due(self, who: str) -> dict[str, Any]:
        """Return what a client pays: the balance, or a new invoice if it is not a usual amount."""
        standing = await self.ask(who, "client", STANDING)
        if not standing["canPay"]["isAllowed"]:
            raise NotMade(str(standing["canPay"]["reason"]))
        payable = standing["balance"]["payable"]
        if is_usual(payable):
            return {"expectedAmount": payable}
        invoice = await self.issue_invoice(who.partition(" ")[0], standing["id"])
        found = await self.ask(who, "node", INVOICE, id=invoice)
        return {"invoiceId": invoice, "expectedAmount": found["payable"]}

    async def issue_invoice(self, currency: str, client_id: str) -> str:
        price = {"amount": self.chance.choice(["60", "125"]), "currency": currency}
        given = {
            "externalId": key(random_key(self.chance)),
            "client": {"id": client_id},
            "lines": [{"description": "Session", "unitPrice": price}],
            "isShared": True,
        }
        query = mutation("issueInvoice", "... on InvoiceEntered { invoice { id } }")
        issued = await self.ask(f"{currency} integration", "issueInvoice", query, i=given)
        if "invoice" not in issued:
            raise NotMade(issued["code"])
        return str(issued["invoice"]["id"])

    async def pay_with_new_card(self, who: str) -> None:
        await self.pay(who, self.chance.choice(CARDS), "PaySucceeded")

    async def pay_and_save(self, who: str) -> None:
        await self.pay(who, self.chance.choice(CARDS), "PaySucceeded", save=True)

    async def pay_with_kept_card(self, who: str) -> None:
        """Pay with a card on file that Stripe has. One is saved first, if there is none."""
        card = await self.known_card(who)
        await self.send_payment(who, {"paymentMethodId": f"crd_{card.id}"}, "PaySucceeded")

    async def known_card(self, who: str) -> Row[Any]:
        """Return a card on file that Stripe has, as it has none of the world's. One is saved first,
        if there is none.
        """
        for _ in range(2):
            client_id = (await self.ask(who, "client", STANDING))["id"].removeprefix("cli_")
            kept = PaymentMethod.client_id == client_id, PaymentMethod.removed_at.is_(None)
            async with self.engine.connect() as conn:
                rows = (await conn.execute(select(PaymentMethod).where(*kept))).all()
            if found := [row for row in rows if self.double.has("payment_method", row)]:
                return self.chance.choice(found)
            await self.save_card(who)
        raise NotMade("no card")

    async def decline(self, who: str) -> None:
        await self.pay(who, DECLINED, "CardDeclined")

    async def ask_the_bank(self, who: str) -> None:
        await self.pay(who, ASKS, "PayRequiresAction")

    async def answered(self, who: str, *, succeed: bool = True) -> Row[Any]:
        """Answer a payment that waits for the bank, and return it. One is begun first, if none of
        the client waits.
        """
        if (waiting := await self.waiting(who)) is None:
            await self.ask_the_bank(who)
            waiting = await self.waiting(who)
        if waiting is None:
            raise NotMade("not waiting")
        with self.double.acting() as store:
            account, id_ = waiting.stripe_account, waiting.stripe_id
            intents.authenticate_intent(store, account, id_, succeed=succeed)
        return waiting

    async def waiting(self, who: str) -> Row[Any] | None:
        client_id = (await self.ask(who, "client", STANDING))["id"].removeprefix("cli_")
        waits = Payment.client_id == client_id, Payment.state == PaymentState.REQUIRES_ACTION
        async with self.engine.connect() as conn:
            rows = (await conn.execute(select(Payment).where(*waits))).all()
        return next((row for row in rows if self.double.has("payment_intent", row)), None)

    async def settle_by_webhook(self, who: str) -> None:
        await self.answered(who, succeed=self.chance.random() < 0.8)
        await self.hear()

    async def settle_by_reconciler(self, who: str) -> None:
        await self.answered(who)
        self.judge.clock.time += dt.timedelta(seconds=61)
        await reconcile.reconcile_untouched(self.server.application.state.background_context)

    async def settle_by_page(self, who: str) -> None:
        payment = await self.answered(who)
        result = await self.ask(who, "refreshPayment", REFRESH, id=f"pmt_{payment.id}")
        expect(result, "PaySucceeded")

    async def cancel(self, who: str) -> None:
        if (payment := await self.waiting(who)) is None:
            await self.ask_the_bank(who)
            payment = await self.waiting(who)
        if payment is None:
            raise NotMade("not waiting")
        result = await self.ask(who, "cancelPayment", CANCEL, id=f"pmt_{payment.id}")
        expect(result, "PayCanceled")

    # -- cards on file -----------------------------------------------------------------------------

    async def save_card(self, who: str) -> None:
        setup = await self.ask(who, "prepareCard", PREPARE)
        expect(setup, "CardPrepared")
        self.double.fill_in(setup["setupIntentId"], self.chance.choice(CARDS))
        result = await self.ask(who, "addCard", ADD, id=setup["setupIntentId"])
        expect(result, "CardAdded")

    async def save_card_by_webhook(self, who: str) -> None:
        """Save a card whose page is closed before it calls `addCard`."""
        setup = await self.ask(who, "prepareCard", PREPARE)
        expect(setup, "CardPrepared")
        self.double.fill_in(setup["setupIntentId"], self.chance.choice(CARDS))
        await self.hear()

    async def make_default(self, who: str) -> None:
        cards = await self.cards(who)
        others = [card for card in cards if not card["isDefault"] and not card["isExpired"]]
        if not others:
            raise NotMade("no other card")
        result = await self.ask(who, "makeDefault", MAKE_DEFAULT, id=others[0]["id"])
        expect(result, "DefaultMade")

    async def remove_card(self, who: str) -> None:
        cards = await self.cards(who)
        if not cards:
            raise NotMade("no card")
        others = [card for card in cards[1:] if not card["isExpired"]]
        asked = {"paymentMethodId": cards[0]["id"]}
        if cards[0]["isDefault"] and others:
            asked["replacementId"] = others[0]["id"]
        expect(await self.ask(who, "removeCard", REMOVE, i=asked), "CardRemoved")

    async def cards(self, who: str) -> list[dict[str, Any]]:
        return [*(await self.ask(who, "client", STANDING))["paymentMethods"]]

    async def change_card_at_stripe(self, who: str) -> None:
        """Have the bank renew a card, which Stripe tells by an event."""
        card = await self.known_card(who)
        with self.double.acting() as store:
            year = self.chance.randint(2032, 2060)
            methods.renew(store, card.stripe_account, card.stripe_id, month=6, year=year)
        await self.hear()

    # -- refunds and disputes ----------------------------------------------------------------------

    async def refund_at_stripe(self, who: str) -> None:
        """Refund a part of a payment in Stripe's dashboard."""
        paid = await self.paid(who)
        with self.double.acting() as store:
            asked = {"payment_intent": paid.stripe_id, "amount": "20"}
            reversals.create_refund(store, paid.stripe_account, asked)
        await self.hear()

    async def return_refund(self, who: str) -> None:
        """Have a refund returned by the cardholder's bank."""
        paid = await self.paid(who)
        with self.double.acting() as store:
            asked = {"payment_intent": paid.stripe_id, "amount": "20"}
            made = reversals.create_refund(store, paid.stripe_account, asked)
        await self.hear()
        with self.double.acting() as store:
            reversals.fail_refund(store, paid.stripe_account, made["id"])
        await self.hear()

    async def dispute(self, who: str) -> None:
        paid = await self.paid(who)
        with self.double.acting() as store:
            reversals.open_dispute(store, paid.stripe_account, paid.stripe_id)
        await self.hear()

    async def decide_dispute(self, who: str) -> None:
        """Have the bank decide a dispute of the client; one is opened first, if there is none."""
        paid = await self.paid(who)
        with self.double.acting() as store:
            account = paid.stripe_account
            open_ones = [
                one
                for one in store.all("dispute", account)
                if one["payment_intent"] == paid.stripe_id
            ]
            made = open_ones or [reversals.open_dispute(store, account, paid.stripe_id)]
            won = self.chance.random() < 0.5
            reversals.close_dispute(store, account, made[0]["id"], won=won)
        await self.hear()

    async def paid(self, who: str) -> Row[Any]:
        """Return a payment of the client that Stripe has; one is made first, if there is none."""
        for is_last in (False, True):
            client_id = (await self.ask(who, "client", STANDING))["id"].removeprefix("cli_")
            done = Payment.client_id == client_id, Payment.state == PaymentState.SUCCEEDED
            async with self.engine.connect() as conn:
                rows = (await conn.execute(select(Payment).where(*done))).all()
            found = [row for row in rows if self.double.has("payment_intent", row)]
            if found:
                return self.chance.choice(found)
            if not is_last:
                await self.pay_with_new_card(who)
        raise NotMade("no payment")

    async def hear(self) -> None:
        await self.double.send_events(self.server, self.engine)


def is_usual(payable: dict[str, Any]) -> bool:
    """Return whether a card can be charged an amount. Plain SQL makes strange ones."""
    return 50 <= float(payable["amount"]) < 1_000


def expect(result: dict[str, Any], wanted: str) -> None:
    if result["__typename"] != wanted:
        raise NotMade(result.get("code") or result["__typename"])


KINDS: dict[str, Callable[[CardWriter, str], Awaitable[None]]] = {
    "pays with a new card": CardWriter.pay_with_new_card,
    "pays and saves the card": CardWriter.pay_and_save,
    "pays with a card on file": CardWriter.pay_with_kept_card,
    "is declined": CardWriter.decline,
    "waits for the bank": CardWriter.ask_the_bank,
    "settled by a webhook": CardWriter.settle_by_webhook,
    "settled by the reconciler": CardWriter.settle_by_reconciler,
    "settled by the page": CardWriter.settle_by_page,
    "canceled by the page": CardWriter.cancel,
    "saves a card": CardWriter.save_card,
    "saves a card by a webhook": CardWriter.save_card_by_webhook,
    "makes a card the default": CardWriter.make_default,
    "removes a card": CardWriter.remove_card,
    "card renewed at Stripe": CardWriter.change_card_at_stripe,
    "refund at Stripe": CardWriter.refund_at_stripe,
    "refund returned": CardWriter.return_refund,
    "dispute": CardWriter.dispute,
    "dispute decided": CardWriter.decide_dispute,
}
