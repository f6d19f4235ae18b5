"""Flows of the practice's money by day: invoiced, collected, returned and written off."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, case, not_, or_

from models import EntryKind
from models.literals import constant

FLOWS = ("invoiced", "collected", "refunded", "charged_back", "written_off")
Flows = Mapping[str, ColumnElement[int]]


def of_ledger(entry: Any) -> Flows:
    """Return a ledger row's share of each flow, over the whole practice."""
    payment, refund = is_of_kind(entry, EntryKind.PAYMENT), is_of_kind(entry, EntryKind.REFUND)
    money = {
        "collected": when(payment, -amount_minor(entry)),
        "refunded": when(refund, amount_minor(entry)),
        "charged_back": when(is_of_kind(entry, EntryKind.DISPUTE), amount_minor(entry)),
    }
    return {**of_charges(entry), **money}


def of_charges(entry: Any) -> Flows:
    """Return a ledger row's share of the amounts invoiced and written off.

    A void reverses each row by a row of the same kind.
    """
    charge = or_(is_of_kind(entry, EntryKind.SESSION), is_of_kind(entry, EntryKind.CHARGE))
    return {
        "invoiced": when(charge, amount_minor(entry)),
        "written_off": when(is_of_kind(entry, EntryKind.WRITE_OFF), -amount_minor(entry)),
    }


def of_allocations(allocation: Any, invoice: Any) -> Flows:
    """Return an allocation's share of the amounts collected, refunded and charged back.

    Money that a void takes back from an invoice is credit again, so the invoice collects less.
    """
    refund, dispute = is_refund(allocation, invoice), allocation.c.dispute_id.is_not(None)
    return {
        "collected": when(not_(or_(refund, dispute)), amount_minor(allocation)),
        "refunded": when(refund, -amount_minor(allocation)),
        "charged_back": when(dispute, -amount_minor(allocation)),
    }


def is_refund(allocation: Any, invoice: Any) -> ColumnElement[bool]:
    """Return whether an allocation is part of a refund.

    Either it names the refund, or it takes money back from an invoice that wasn't void, and not for
    a dispute: a refund by other means than a card has no row of its own.
    """
    was_void = and_(invoice.c.voided_on.is_not(None), invoice.c.voided_on <= allocation.c.date)
    taken_back = and_(amount_minor(allocation) < constant(0), not_(allocation.c.is_credit))
    by_other_means = and_(taken_back, not_(was_void), allocation.c.dispute_id.is_(None))
    return or_(allocation.c.refund_id.is_not(None), by_other_means)


def amount_minor(row: Any) -> ColumnElement[int]:
    amount: ColumnElement[int] = row.c.amount_minor
    return amount


def is_of_kind(entry: Any, of: EntryKind) -> ColumnElement[bool]:
    return and_(entry.c.kind == constant(of))


def when(condition: ColumnElement[bool], amount: ColumnElement[int]) -> ColumnElement[int]:
    return case((condition, amount), else_=constant(0))
