"""The allocation of reversed money: first to the payment's unused credit, then to the invoices that
the payment paid, the last one first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reversal:
    """A refund, or a dispute that is not won, in minor units."""

    key: str
    minor: int


@dataclass
class Taken:
    """The part of a reversal that each invoice loses. The rest is taken from unused credit."""

    of_invoices: dict[str, int] = field(default_factory=dict)
    of_credit: int = 0


def share_reversals(
    paid: Sequence[tuple[str, int]], unused_minor: int, reversals: Iterable[Reversal]
) -> Mapping[str, Taken]:
    """Return the share of each reversal, the oldest first.

    `paid` holds the payment's allocations to invoices, in order; `unused_minor` is the part of the
    payment that is unused credit. So the result depends on the reversals that hold now, not on the
    order in which Stripe reported them.
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
    """Return the change for each invoice against the shares taken before. A negative change gives
    money back to the invoice.

    An invoice that was paid again in the meantime gets no more than is `due` of it. All of them
    together get no more than is taken from other invoices plus `spare_minor`; the rest stays unused
    credit.
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
