"""What moved the practice's money on each day: asked for, come in, gone back, given up."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, case, not_, or_

from models import EntryKind
from models.literals import constant

FLOWS = ("invoiced", "collected", "refunded", "written_off")
Flows = Mapping[str, ColumnElement[int]]


def of_ledger(entry: Any) -> Flows:
    """What a ledger row is of each, over the whole practice."""
    payment, refund = kind(entry, EntryKind.PAYMENT), kind(entry, EntryKind.REFUND)
    money = {"collected": when(payment, -minor(entry)), "refunded": when(refund, minor(entry))}
    return {**of_charges(entry), **money}


def of_charges(entry: Any) -> Flows:
    """What a ledger row asks for an invoice, and gives up of it.

    A void reverses each row by one of its kind. A write-off of no invoice is credit.
    """
    charge = or_(kind(entry, EntryKind.SESSION), kind(entry, EntryKind.CHARGE))
    given_up = and_(kind(entry, EntryKind.WRITE_OFF), entry.c.invoice_id.is_not(None))
    return {"invoiced": when(charge, minor(entry)), "written_off": when(given_up, -minor(entry))}


def of_allocations(allocation: Any, invoice: Any) -> Flows:
    """What an allocation brings an invoice, or takes back from it for a refund.

    What a void takes back is credit again: so much less is collected by the invoice.
    """
    refund = is_refund(allocation, invoice)
    return {
        "collected": when(not_(refund), minor(allocation)),
        "refunded": when(refund, -minor(allocation)),
    }


def is_refund(allocation: Any, invoice: Any) -> ColumnElement[bool]:
    """Whether it is a refund's share: it names the refund, or is money taken back from an invoice
    that wasn't void; a refund that went another way than by card has no row of its own."""
    was_void = and_(invoice.c.voided_on.is_not(None), invoice.c.voided_on <= allocation.c.date)
    taken_back = and_(minor(allocation) < constant(0), not_(allocation.c.is_credit))
    return or_(allocation.c.refund_id.is_not(None), and_(taken_back, not_(was_void)))


def minor(row: Any) -> ColumnElement[int]:
    amount: ColumnElement[int] = row.c.amount_minor
    return amount


def kind(entry: Any, of: EntryKind) -> ColumnElement[bool]:
    return and_(entry.c.kind == constant(of))


def when(condition: ColumnElement[bool], amount: ColumnElement[int]) -> ColumnElement[int]:
    return case((condition, amount), else_=constant(0))
