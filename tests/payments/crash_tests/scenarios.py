"""Scenarios: the point at which the server dies, the payment, and the continuation."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random


@dataclass(frozen=True)
class Scenario:
    """A scenario of a crash.

    `card`: good, declined or asks (3-D Secure). `way`: a new card, one to be saved, a saved one.
    `after` is the event in the next server: nothing but the reconciler, the same request again,
    another tab, every event five times, or the cardholder approves, fails or leaves. `sleeps`: the
    first server is stopped instead of killed, and continues at the end.
    """

    die: str
    card: str = "good"
    way: str = "new"
    after: str = "reconcile"
    credit: bool = False
    one: bool = False
    sleeps: bool = False

    def __str__(self) -> str:
        more = ("credit " if self.credit else "") + ("one" if self.one else "balance")
        more += ", sleeps" if self.sleeps else ""
        return f"{self.die}, {self.card} {self.way}, {self.after}, {more}"


SCENARIOS = [
    Scenario("before T1"),
    Scenario("before T1", after="retry", credit=True),
    Scenario("after T1"),
    Scenario("after T1", way="saved", after="retry"),
    Scenario("after T1", after="other tab", credit=True),
    Scenario("before create", after="retry", one=True),
    Scenario("after create"),
    Scenario("after create", way="save", after="retry"),
    Scenario("before T2", after="webhook", credit=True),
    Scenario("before T2", after="retry"),
    Scenario("after T2"),
    Scenario("after T2", way="saved", after="retry"),
    Scenario("before confirm", after="other tab"),
    Scenario("after confirm", credit=True),
    Scenario("after confirm", way="save", after="webhook"),
    Scenario("after confirm", way="saved", after="retry", one=True),
    Scenario("before T3", after="other tab"),
    Scenario("after T3", after="retry"),
    Scenario("before cancel", "declined"),
    Scenario("after cancel", "declined", after="webhook"),
    Scenario("after T3", "asks", after="approves"),
    Scenario("after confirm", "asks", after="fails"),
    Scenario("after T3", "asks", after="gone"),
    Scenario("before inbox", after="inbox"),
    Scenario("after inbox", after="inbox"),
    Scenario("before T3", after="inbox"),
    Scenario("after T1", sleeps=True),
    Scenario("after create", sleeps=True),
    Scenario("after create", way="save", after="other tab", sleeps=True),
    Scenario("after T2", sleeps=True),
    Scenario("after T2", way="saved", after="retry", credit=True, sleeps=True),
    Scenario("after confirm", after="retry", sleeps=True),
    Scenario("after confirm", "asks", after="gone", sleeps=True),
    Scenario("before cancel", "declined", after="webhook", sleeps=True),
]

POINTS = (
    *("before T1", "after T1", "before create", "after create", "before T2", "after T2"),
    *("before confirm", "after confirm", "before T3", "after T3"),
)
AWAKE = ("after T1", "after create", "after T2", "before confirm", "after confirm", "before cancel")
AFTERS = ("reconcile", "retry", "other tab", "webhook")
OF_CARD = {"good": AFTERS, "declined": AFTERS, "asks": ("approves", "fails", "gone", *AFTERS)}


def all_scenarios() -> list[Scenario]:
    """Return every point with every possible card, way and continuation."""
    made = [
        Scenario(die, card, way, after, credit, one)
        for die, card, way, credit, one in itertools.product(
            POINTS, OF_CARD, ("new", "save", "saved"), (False, True), (False, True)
        )
        for after in OF_CARD[card]
        # Without the bank's question there is nothing to confirm.
        if after in AFTERS or die in ("after confirm", "before T3", "after T3")
        # A declining card is never on file.
        if not (card == "declined" and way == "saved")
    ]
    fences = [
        Scenario(die, "declined", way, after, credit)
        for die, way, after, credit in itertools.product(
            ("before cancel", "after cancel"), ("new", "save"), AFTERS, (False, True)
        )
    ]
    # A server stopped within a transaction would keep its lock.
    asleep = [replace(one, sleeps=True) for one in made + fences if one.die in AWAKE]
    return made + fences + asleep


def by_chance(seed: int) -> Iterator[Scenario]:
    """Yield all scenarios in random order, again and again."""
    chance, all_ = Random(seed), all_scenarios()
    while True:
        yield from chance.sample(all_, len(all_))
