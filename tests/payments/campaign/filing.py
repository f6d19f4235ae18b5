"""Actions of a client on cards: add one, remove one, make one the default."""

from tests.payments.campaign.paying import ASKS, DECLINED, GOOD
from tests.payments.campaign.visit import Visit
from tests.support import card_forms

NUMBERS = (GOOD, GOOD, "5555555555554444", "378282246310005", ASKS, ASKS, DECLINED)


async def add_a_card(visit: Visit) -> None:
    """Prepare, fill in Stripe's form, add. Now and then the page closes before it adds."""
    prepared = (await visit.page.data(card_forms.PREPARE, i={}))["prepareCard"]
    visit.journal.tell(visit.index, "prepareCard", prepared)
    if prepared["__typename"] != "CardPrepared":
        return
    secret, setup_id = prepared["clientSecret"], prepared["setupIntentId"]
    status = await visit.stripe.fill_in(secret, visit.random.choice(NUMBERS))
    if status == "requires_action" and visit.random.random() < 0.85:
        await visit.stripe.answer_the_bank(secret, succeed=visit.random.random() < 0.75)
    if visit.random.random() < 0.15:
        return
    makes_default = visit.random.random() < 0.5
    input = {"setupIntentId": setup_id, "makeDefault": makes_default}
    added = (await visit.page.data(card_forms.ADD, i=input))["addCard"]
    card_id = added["paymentMethod"]["id"] if "paymentMethod" in added else None
    visit.journal.tell(visit.index, "addCard", added, card_id=card_id, setup_id=setup_id)


async def remove_a_card(visit: Visit) -> None:
    cards = await visit.page.cards()
    if not cards:
        return
    card = visit.random.choice(cards)
    input = {"paymentMethodId": card["id"]}
    others = [one for one in cards if one is not card]
    if card["isDefault"] and others:
        input["replacementId"] = visit.random.choice(others)["id"]
    removed = (await visit.page.data(card_forms.REMOVE, i=input))["removeCard"]
    visit.journal.tell(visit.index, "removeCard", removed, card_id=card["id"])


async def choose_a_default(visit: Visit) -> None:
    cards = await visit.page.cards()
    if cards:
        input = {"paymentMethodId": visit.random.choice(cards)["id"]}
        made = (await visit.page.data(card_forms.MAKE_DEFAULT, i=input))["makeDefault"]
        visit.journal.tell(visit.index, "makeDefault", made)
