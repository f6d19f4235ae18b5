"""Taking funds back from invoices when money leaves: by a refund, a dispute or a void.

Unallocated funds are never below zero. If they don't cover the money that leaves, allocations are
taken back, and their invoices are due again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from models import Allocation, Invoice


class Source(NamedTuple):
    """The origin and the target of allocated funds: a payment's charge or credit, and an
    invoice.
    """

    invoice_id: str
    payment_id: str | None
    is_credit: bool


# The minor units of each source, the first allocation first.
Allocated = Mapping[Source, int]


def take_back(
    allocated: Allocated, minor: int, payment_id: str | None = None
) -> Iterator[tuple[Source, int]]:
    """Yield the parts that an amount is taken back from.

    Allocations of the payment itself come first, then those of credit, and then all others. In each
    group the last allocation comes first.
    """

    def rank(source: Source) -> int:
        if source.is_credit:
            return 1
        return 0 if source.payment_id == payment_id else 2

    last_first = [*allocated][::-1]
    for source in sorted(last_first, key=rank):
        part = min(minor, allocated[source])
        if part > 0:
            minor -= part
            yield source, part


@dataclass(frozen=True)
class Reversal:
    """A refund or a dispute: the amount that left because of it, and the parts of allocations that
    were taken back for it so far. Once it has failed or is won, the amount is zero.

    With an `invoice_id`, the payment's part of this invoice is taken back before all other funds.
    """

    key: str
    minor: int
    taken: Allocated
    invoice_id: str | None = None


def redistribute(
    allocated: Allocated,
    due: Mapping[str, int],
    unallocated_minor: int,
    reversals: Sequence[Reversal],
    payment_id: str,
) -> dict[str, Counter[Source]]:
    """Return the changes of allocations for each of a payment's reversals, the oldest first.

    All parts are given back first, no more to an invoice than is `due` of it. Then each reversal
    takes its amount from the unallocated funds and from allocations. So the result depends on the
    reversals that hold now, and not on the order in which Stripe reported them.
    """
    moved: dict[str, Counter[Source]] = {one.key: Counter() for one in reversals}
    now, room = Counter(allocated), Counter(due)
    unallocated = unallocated_minor + sum(one.minor for one in reversals)
    for reversal in reversals:
        for source, taken in reversal.taken.items():
            part = max(0, min(taken, room[source.invoice_id]))
            room[source.invoice_id] -= part
            now[source] += part
            unallocated -= part
            moved[reversal.key][source] += part
    for reversal in reversals:
        unallocated -= reversal.minor
        chosen = chosen_part(now, reversal.minor, payment_id, reversal.invoice_id)
        others = take_back(now - chosen, -unallocated - chosen.total(), payment_id)
        for source, part in [*chosen.items(), *others]:
            now[source] -= part
            unallocated += part
            moved[reversal.key][source] -= part
    return moved


def chosen_part(
    allocated: Allocated, minor: int, payment_id: str | None, invoice_id: str | None
) -> Counter[Source]:
    """Return the part of a payment that is taken back of a chosen invoice, or none without one."""
    if invoice_id is None:
        return Counter()
    source = Source(invoice_id, payment_id, is_credit=False)
    part = min(minor, allocated.get(source, 0))
    return Counter({source: part} if part > 0 else {})


async def allocated_sums(
    conn: AsyncConnection, practice_id: str, client_id: str, *conditions: Any
) -> dict[Source, int]:
    """Return a client's allocations by source, the first one first.

    The caller has locked the client. Sources with nothing left are included, since they keep their
    place if money comes back.
    """
    minor = func.sum(Allocation.amount_minor)
    source = Allocation.invoice_id, Allocation.payment_id, Allocation.is_credit
    result = await conn.execute(
        select(*source, minor)
        .join(
            Invoice,
            (Invoice.practice_id == Allocation.practice_id) & (Invoice.id == Allocation.invoice_id),
        )
        .where(
            Allocation.practice_id == practice_id, Allocation.client_id == client_id, *conditions
        )
        .group_by(*source, Invoice.issued_on, Invoice.serial)
        .order_by(func.min(Allocation.created_at), Invoice.issued_on, Invoice.serial)
    )
    return {Source(row[0], row[1], row[2]): int(row[3]) for row in result}


def taken_parts(sums: Allocated) -> dict[Source, int]:
    """Return the parts that allocations of a reversal, which are negative, have taken back."""
    return {source: -minor for source, minor in sums.items() if minor < 0}


def parts_of(moved: Mapping[str, Counter[Source]]) -> Iterable[tuple[str, Source, int]]:
    """Yield the changes that are not zero, with the reversal's key."""
    for key, changes in moved.items():
        yield from ((key, source, minor) for source, minor in changes.items() if minor)
