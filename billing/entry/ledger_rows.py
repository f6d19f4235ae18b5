"""The rows of ledger entries and allocations, which every kind of entry makes."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from billing.entry.client_ledger import ClientLedger
from billing.entry.rows import Draft, Values
from billing.ledger.allocation import Share
from billing.ledger.taking_back import Source, chosen_part, take_back
from billing.payments.rows import allocation_columns
from models import Allocation, EntryKind, LedgerEntry


def enter_charge(
    draft: Draft, kind: EntryKind, minor: int, description: str, invoice_id: str, **facts: Any
) -> Values:
    """Add a ledger row that changes an invoice's billed amount."""
    return enter(draft, kind, minor, description, invoice_id=invoice_id, **facts)


def enter(
    draft: Draft,
    kind: EntryKind,
    minor: int,
    description: str,
    *,
    reference: str | None = None,
    date: dt.date | None = None,
    **facts: Any,
) -> Values:
    """Add a ledger row. Without a reference its id is the reference."""
    row_id = facts.pop("id", None) or draft.stamp.new_id()
    return draft.insert(
        LedgerEntry,
        id=row_id,
        kind=kind,
        amount_minor=minor,
        description=description,
        reference=reference or row_id,
        date=date or draft.today,
        posted_on=draft.today,
        created_at=draft.now,
        **facts,
    )


def allocate_shares(draft: Draft, shares: Iterable[Share], payment_id: str | None = None) -> None:
    """Add an allocation for each share."""
    for columns in allocation_columns(payment_id, shares, draft.today, draft.now):
        draft.insert(Allocation, **columns)


def move_allocation(draft: Draft, source: Source, minor: int, **facts: Any) -> None:
    draft.insert(
        Allocation,
        **source._asdict(),
        amount_minor=minor,
        date=draft.today,
        created_at=draft.now,
        **facts,
    )


def release(draft: Draft, ledger: ClientLedger, invoice_id: str, minor: int | None = None) -> int:
    """Take allocations of one invoice back, the last first: an amount of them, or all.

    Return the amount that is unallocated again.
    """
    of_invoice = {
        source: sum_ for source, sum_ in ledger.allocated.items() if source.invoice_id == invoice_id
    }
    if minor is None:
        parts = [(source, sum_) for source, sum_ in of_invoice.items() if sum_]
    else:
        parts = list(take_back(of_invoice, minor))
    for source, part in parts:
        move_allocation(draft, source, -part)
    return sum(part for _, part in parts)


def cover_withdrawal(
    draft: Draft,
    ledger: ClientLedger,
    minor: int,
    payment_id: str | None = None,
    *,
    invoice_id: str | None = None,
    **facts: Any,
) -> None:
    """Take allocations back, as far as the unallocated funds don't cover money that leaves.

    `payment_id` is the payment that the money was part of. With an invoice, the payment's part of
    this invoice is taken back before all other funds.
    """
    chosen = chosen_part(ledger.allocated, minor, payment_id, invoice_id)
    missing = minor - chosen.total() - ledger.unallocated
    others = take_back(ledger.allocated - chosen, missing, payment_id)
    for source, part in [*chosen.items(), *others]:
        move_allocation(draft, source, -part, **facts)
