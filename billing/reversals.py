"""How money that goes back of a payment is taken back: from what it left unused, then from the
invoices that it paid, the last first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reversal:
    """A refund or a dispute that holds, in minor units."""

    key: str
    minor: int


@dataclass
class Taken:
    """What a reversal takes from each invoice; the rest was unused credit."""

    of_invoices: dict[str, int] = field(default_factory=dict)
    of_credit: int = 0


def spread(
    paid: Sequence[tuple[str, int]], unused_minor: int, reversals: Iterable[Reversal]
) -> Mapping[str, Taken]:
    """What each reversal takes, the oldest first.

    `paid` is what the payment put toward invoices, in that order; `unused_minor` what it left of
    unused credit. So what is taken depends on what holds now, not on who told of it when.
    """
    room, unused = dict(paid), max(0, unused_minor)
    taken: dict[str, Taken] = {}
    for reversal in reversals:
        mine = taken[reversal.key] = Taken()
        left = reversal.minor - min(unused, reversal.minor)
        unused -= reversal.minor - left
        for invoice_id, _ in reversed(paid):
            share = min(room[invoice_id], left)
            if share > 0:
                mine.of_invoices[invoice_id] = share
                room[invoice_id], left = room[invoice_id] - share, left - share
        mine.of_credit = reversal.minor - sum(mine.of_invoices.values())
    return taken


def moves(
    before: Mapping[str, int], wanted: Mapping[str, int], due: Mapping[str, int], spare_minor: int
) -> list[tuple[str, int]]:
    """What is to be taken from each invoice beside what was taken before; below zero: given back.

    An invoice that was paid again meanwhile is given no more than is `due` of it, and all are given
    no more than is taken from others and there is to `spare`: the rest stays unused credit.
    """
    changes = {key: wanted.get(key, 0) - before.get(key, 0) for key in {**before, **wanted}}
    taken = {key: change for key, change in changes.items() if change > 0}
    left = sum(taken.values()) + max(0, spare_minor)
    given: dict[str, int] = {}
    for key, change in changes.items():
        if change < 0:
            given[key] = min(-change, max(0, due.get(key, 0)), left)
            left -= given[key]
    return [*taken.items(), *((key, -minor) for key, minor in given.items() if minor)]
