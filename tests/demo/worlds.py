"""The made rows that the tests of the demo's data read, by name."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from itertools import product

import demo
from demo import People, many
from models import Row
from tests.support.demo_ledger import Ledgers, Values

# Days with a leap day, an end of a year or month, or a change to or from summer time.
DAYS = """2024-02-29 2025-01-01 2025-03-10 2025-07-31 2025-12-31 2026-03-18 2026-10-26""".split()
SEEDS = (1, 20)
TODAY = dt.date(2026, 3, 18)
CLIENTS, PRACTICES = 60, 3


@cache
def demo_of(day: str, seed: int) -> tuple[People, Ledgers]:
    """Return the people and the rows of `portal demo`."""
    today = dt.date.fromisoformat(day)
    people, rows = demo.demo_rows(today, seed)
    return people, Ledgers(rows, today)


def loaded_plans() -> list[many.PracticePlan]:
    return many.plans(TODAY, 1, CLIENTS, PRACTICES)


@cache
def loaded_rows() -> Mapping[type[Row], Sequence[Values]]:
    """Return the rows of `portal load-demo`."""
    return demo.by_table(entry for plan in loaded_plans() for entry in many.practice_entries(plan))


DEMOS: Mapping[str, Callable[[], tuple[People, Ledgers]]] = {
    f"{day}, seed {seed}": partial(demo_of, day, seed) for day, seed in product(DAYS, SEEDS)
}


def ledgers_of(name: str) -> Ledgers:
    return DEMOS[name]()[1]


WORLDS: Mapping[str, Callable[[], Ledgers]] = {
    **{name: partial(ledgers_of, name) for name in DEMOS},
    "load-demo": lambda: Ledgers(loaded_rows(), TODAY),
}
