"""Payments of a client: in one tab or several, with 3-D Secure, by cards that are declined."""

import asyncio
from typing import Any

from tests.payments.campaign.answers import Told
from tests.payments.campaign.visit import Visit
from tests.support.payments import CANCEL, PAY, REFRESH

GOOD, ASKS, DECLINED = "4242424242424242", "4000002500003155", "4000000000000002"
NO_FUNDS, ASKS_AND_DECLINES = "4000000000009995", "4000008400001629"
CARDS = (GOOD,) * 8 + (ASKS,) * 4 + (DECLINED, NO_FUNDS, ASKS_AND_DECLINES)
# Reactions of a cardholder to the bank's question.
AT_THE_BANK = ("approves",) * 6 + ("fails",) * 2 + ("leaves", "leaves", "cancels")
ROUNDS, PAUSE_S = 8, (0.2, 0.9)
WAITING = {"PayProcessing", "PayRequiresAction", "PaymentInProgress"}


class Input(dict[str, Any]):
    """A request to pay. Each time that a page sends it, it makes another token of the same card."""

    number: str | None = None


async def pay(visit: Visit, key: str | None = None) -> None:
    """Pay the balance or an invoice, and follow it until it is at rest or the client leaves."""
    input = await composed(visit, key)
    if input is not None:
        await follow(visit, await send(visit, input))


async def pay_in_tabs(visit: Visit) -> None:
    """Pay in several tabs at once, with one key or one each."""
    count = visit.random.randint(2, 5)
    same = visit.new_key() if visit.random.random() < 0.5 else None
    inputs = [await composed(visit, same) for _ in range(count)]
    wanted = [input for input in inputs if input is not None]
    if same is not None:
        # One request, sent by each tab.
        wanted = wanted[:1] * count
    answers = await asyncio.gather(*(send(visit, one) for one in wanted), return_exceptions=True)
    for told in answers:
        if isinstance(told, BaseException):
            raise told
        await follow(visit, told)


async def pay_twice_by_the_same_key(visit: Visit) -> None:
    """Reload the page while it waits: the same request comes again later."""
    input = await composed(visit, None)
    if input is None:
        return
    first = asyncio.create_task(send(visit, input))
    await visit.pause(0.0, 1.5)
    second = await send(visit, input)
    await first
    await follow(visit, second)


async def composed(visit: Visit, key: str | None) -> Input | None:
    """Compose a request by the seed, or return None if nothing is due."""
    debts = visit.somebody.debts
    invoice = visit.random.choice(debts).invoice_id if visit.random.random() < 0.4 else None
    payable = await visit.page.payable(invoice)
    input = Input(
        idempotencyKey=key or visit.new_key(),
        expectedAmount={"amount": f"{payable / 100:.2f}", "currency": "USD"},
    )
    if invoice is not None:
        input["invoiceId"] = f"inv_{invoice}"
    cards = await visit.page.cards() if visit.random.random() < 0.4 else []
    if cards:
        input["source"] = {"paymentMethodId": visit.random.choice(cards)["id"]}
    else:
        input.number = visit.random.choice(CARDS)
        saves = visit.random.random() < 0.35
        input["source"] = {"newCard": {"confirmationToken": "", "saveCard": saves}}
        if saves and visit.random.random() < 0.5:
            input["source"]["newCard"]["makeDefault"] = True
    return input if payable else None


async def send(visit: Visit, input: Input) -> Told:
    """Send a request until it is answered, each time with a new token of a new card."""
    given = dict(input)
    if input.number is not None:
        token = await visit.stripe.token(input.number)
        card = input["source"]["newCard"] | {"confirmationToken": token}
        given["source"] = {"newCard": card}
    data = await visit.page.data(PAY, input=given)
    return note(visit, "pay", data["pay"], key=input["idempotencyKey"])


def note(visit: Visit, what: str, answer: dict[str, Any], key: str | None = None) -> Told:
    payment = answer.get("payment") or {}
    visit.secrets[payment.get("id", "")] = answer.get("clientSecret")
    amount = int(payment["amount"]["minorUnits"]) if "amount" in payment else None
    payment_id = payment["id"].removeprefix("pmt_") if payment else None
    named = {"key": key, "payment_id": payment_id, "amount": amount}
    return visit.journal.tell(visit.somebody.index, what, answer, **named)


async def follow(visit: Visit, told: Told) -> None:
    """Poll a payment's state until it is at rest, as a page does. The client may leave."""
    for _ in range(ROUNDS):
        if told.typename not in WAITING or told.payment_id is None:
            return
        payment = f"pmt_{told.payment_id}"
        if told.typename == "PayRequiresAction":
            does = visit.random.choice(AT_THE_BANK)
            if does == "leaves":
                return
            secret = visit.secrets.get(payment)
            if does == "cancels":
                told = await ask(visit, "cancelPayment", CANCEL, payment)
                continue
            if secret:
                await visit.stripe.answer_the_bank(secret, succeed=does == "approves")
        elif told.typename == "PaymentInProgress" and visit.random.random() < 0.3:
            told = await ask(visit, "cancelPayment", CANCEL, payment)
            continue
        await visit.pause(*PAUSE_S)
        told = await ask(visit, "refreshPayment", REFRESH, payment)


async def ask(visit: Visit, field: str, query: str, payment: str) -> Told:
    data = await visit.page.data(query, id=payment)
    return note(visit, field, data[field])
