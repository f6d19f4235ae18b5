"""Actions of clients, operators and banks, drawn from each client's seed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.payments.campaign import filing, paying
from tests.payments.campaign.answers import Intention
from tests.payments.campaign.page import Lost
from tests.payments.campaign.visit import Visit
from tests.payments.campaign.world import AMOUNTS

Action = Callable[[Visit], Awaitable[None]]
PARTS = (None, None, 300, 700, 2_000)
DISPUTES: tuple[dict[str, Any], ...] = (
    {"amount": 400},
    {"amount": 900},
    {},
    {"amount": 50_000},
    {"amount": 800, "currency": "eur"},
    {"status": "warning_needs_response"},
)


async def owe_more(visit: Visit) -> None:
    await visit.world.bill(visit.somebody, visit.random.choice(AMOUNTS), visit.stripe.mark())


async def refund(visit: Visit) -> None:
    """Have the operator refund a payment or a part, now and then the same amount twice."""
    paid = visit.journal.succeeded(visit.index)
    if not paid:
        return
    one = visit.random.choice(paid)
    assert one.payment_id is not None
    amount = visit.random.choice(PARTS)
    times = 2 if amount is not None and visit.random.random() < 0.3 else 1
    for _ in range(times):
        key = visit.new_key() if visit.random.random() < 0.5 else None
        intention = Intention(visit.index, one.payment_id, amount, key)
        visit.journal.intentions.append(intention)
        await visit.operator.refund(intention)


async def refund_in_the_dashboard(visit: Visit) -> None:
    for intent_id in a_paid_intent(visit):
        amount = visit.random.choice((300, 500, 900))
        await visit.act("refund", payment_intent=intent_id, amount=str(amount))


async def have_a_refund_fail(visit: Visit) -> None:
    """Have the bank send a refund back, with or without an earlier event of it."""
    for intent_id in a_paid_intent(visit):
        await visit.act("refund", payment_intent=intent_id, amount="500")
        await visit.pause(0.0, 4.0)
        for refund in visit.stripe.of_intent("refund", intent_id)[-1:]:
            await visit.act("fail_refund", id=refund["id"])


async def dispute(visit: Visit) -> None:
    """Dispute a part of a payment, more than its amount, or another currency; decide it or not."""
    for intent_id in a_paid_intent(visit):
        facts = visit.random.choice(DISPUTES)
        await visit.act("dispute", intent=intent_id, **facts)
        for _ in range(visit.random.randint(0, 2)):
            await visit.pause(0.0, 3.0)
            status = visit.random.choice(("under_review", "won", "won", "lost", "warning_closed"))
            for found in visit.stripe.of_intent("dispute", intent_id):
                await visit.act("decide_dispute", id=found["id"], status=status)


async def detach_a_card_at_stripe(visit: Visit) -> None:
    for customer in visit.stripe.customers_of(visit.somebody.client_id)[-1:]:
        for card in visit.stripe.cards_of(customer)[:1]:
            await visit.act("detach", id=card["id"])


async def delete_the_customer(visit: Visit) -> None:
    for customer in visit.stripe.customers_of(visit.somebody.client_id)[-1:]:
        await visit.act("delete_customer", id=customer)


async def wait(visit: Visit) -> None:
    await visit.pause(0.5, 3.0)


def a_paid_intent(visit: Visit) -> list[str]:
    """Return a paid PaymentIntent of this client, if there is one."""
    paid = visit.journal.succeeded(visit.index)
    if not paid:
        return []
    payment_id = visit.random.choice(paid).payment_id or ""
    return [one["id"] for one in visit.stripe.intents_of(payment_id)][:1]


ACTIONS: dict[Action, int] = {
    paying.pay: 10,
    paying.pay_in_tabs: 4,
    paying.pay_twice_by_the_same_key: 3,
    filing.add_a_card: 5,
    filing.remove_a_card: 3,
    filing.choose_a_default: 1,
    owe_more: 4,
    refund: 6,
    refund_in_the_dashboard: 2,
    have_a_refund_fail: 2,
    dispute: 2,
    detach_a_card_at_stripe: 1,
    delete_the_customer: 1,
    wait: 1,
}
MOST = 4
STAYS_S = 60


async def play(visit: Visit) -> None:
    """Play a client's whole script: pay or keep a card first, then act as the seed says.

    A client leaves after waiting too long, or without a response.
    """
    first = visit.random.choice((paying.pay, paying.pay, paying.pay_in_tabs, filing.add_a_card))
    count = visit.random.randint(1, MOST)
    rest = visit.random.choices(list(ACTIONS), list(ACTIONS.values()), k=count)
    action: Action = first
    try:
        async with asyncio.timeout(STAYS_S):
            for action in (first, *rest):
                await action(visit)
                visit.journal.counts[f"did: {action.__name__}"] += 1
                await visit.pause(0.0, 0.5)
    except (Lost, TimeoutError):
        visit.journal.counts[f"left: {action.__name__}"] += 1
