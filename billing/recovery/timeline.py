"""The order in which objects were created at Stripe. Stripe gives times in whole seconds."""

import datetime as dt
from collections.abc import Iterable, Sequence

from billing.stripe.objects import Disputed, Intent, Refunded, Setup

# The objects that a recovery adopts one after another.
Created = Intent | Setup | Refunded | Disputed


def in_order(
    intents: Sequence[Intent],
    reversals: Iterable[Refunded | Disputed],
    setups: Iterable[Setup],
) -> list[Created]:
    """Return the objects in the order of their times. `intents` are in their own order.

    Within a second a reversal comes right after its payment, and before all payments if its own
    payment is older.
    """
    places = {intent.id: (intent.created, number) for number, intent in enumerate(intents)}

    def key(one: Created) -> tuple[dt.datetime, int, int, str]:
        if isinstance(one, Intent):
            return (*places[one.id], 0, one.id)
        if isinstance(one, Setup):
            return one.created, len(places), 0, one.id
        paid_at, number = places.get(one.intent_id or "", (None, -1))
        return one.created, number if paid_at == one.created else -1, 1, one.id

    return sorted([*intents, *reversals, *setups], key=key)
