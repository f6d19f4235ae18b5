"""Faults in the practice's reports, and in the scopes that fields need."""

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import and_, false, func, literal_column, or_

import billing.ledger.receivables
import billing.ledger.revenue
from billing.ledger import periods
from billing.ledger.periods import Period
from billing.ledger.receivables import movement
from billing.ledger.revenue import when
from execution import scopes
from graph.types.document import DocumentLink
from graph.types.invoice import Invoice
from graph.types.reports import Aging, RevenuePeriod
from models import EntryKind
from resolvers import aging, revenue
from resolvers.field_facts import NO_SCOPE, PHI, REQUIRED
from tests.mutants.faults import fault, fault_in_documents


@fault
def a_week_begins_on_sunday(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(
        periods.ENDS, Period.WEEK, lambda day: day + dt.timedelta((5 - day.weekday()) % 7)
    )


@fault
def a_report_is_longer_than_it_may_be(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(revenue, "MOST", revenue.MOST + 1)


@fault
def a_day_to_come_is_let_through(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(aging, "until_today", lambda day, _: day)


@fault
def a_voided_invoice_stays_invoiced(patch: pytest.MonkeyPatch) -> None:
    right = billing.ledger.revenue.amount_minor
    patch.setattr(billing.ledger.revenue, "amount_minor", lambda row: func.abs(right(row)))


@fault
def refunds_are_taken_off_what_is_collected(patch: pytest.MonkeyPatch) -> None:
    right = billing.ledger.revenue.of_ledger

    def wrong(entry: Any) -> Any:
        flows = right(entry)
        return {**flows, "collected": flows["collected"] - flows["refunded"]}

    patch.setattr(revenue, "of_ledger", wrong)


@fault
def what_the_practice_gives_is_collected(patch: pytest.MonkeyPatch) -> None:
    right = billing.ledger.revenue.is_of_kind
    patch.setattr(
        billing.ledger.revenue,
        "is_of_kind",
        lambda entry, of: right(entry, EntryKind.CREDIT if of is EntryKind.PAYMENT else of),
    )


@fault
def adjustments_are_written_off(patch: pytest.MonkeyPatch) -> None:
    right = billing.ledger.revenue.of_ledger

    def wrong(entry: Any) -> Any:
        given_up = entry.c.kind.in_([literal_column("'WRITE_OFF'"), literal_column("'ADJUSTMENT'")])
        return {**right(entry), "written_off": when(given_up, -entry.c.amount_minor)}

    patch.setattr(revenue, "of_ledger", wrong)


@fault
def a_refund_is_taken_off_a_therapists_collected(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(billing.ledger.revenue, "is_refund", lambda *_: false())


@fault
def only_refunds_by_card_are_refunds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        billing.ledger.revenue,
        "is_refund",
        lambda allocation, _: allocation.c.refund_id.is_not(None),
    )


@fault
def a_therapists_money_is_everybodys(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(revenue, "clinician_row_id", lambda _: None)


@fault
def an_invoice_is_due_before_it_is_issued(patch: pytest.MonkeyPatch) -> None:
    def wrong(entry: Any, invoice: Any) -> Any:
        return movement(entry, invoice, entry.c.date, entry.c.amount_minor)

    patch.setattr(aging, "invoiced_amounts", wrong)


@fault
def what_came_later_counts_as_of_a_past_day(patch: pytest.MonkeyPatch) -> None:
    def wrong(entry: Any, invoice: Any) -> Any:
        return movement(entry, invoice, invoice.c.issued_on, entry.c.amount_minor)

    patch.setattr(aging, "invoiced_amounts", wrong)


@fault
def what_was_due_before_the_range_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(revenue, "greatest", lambda day, _: day)


@fault
def what_banks_took_back_counts_as_refunded(patch: pytest.MonkeyPatch) -> None:
    right = billing.ledger.revenue.of_allocations

    def wrong(allocation: Any, invoice: Any) -> Any:
        flows = right(allocation, invoice)
        return {**flows, "refunded": flows["refunded"] + flows["charged_back"]}

    patch.setattr(revenue, "of_allocations", wrong)


@fault
def unused_credit_is_taken_off_what_is_due(patch: pytest.MonkeyPatch) -> None:
    right = billing.ledger.receivables.allocated_amounts

    def wrong(allocation: Any, invoice: Any) -> Any:
        return right(allocation, invoice).where(~allocation.c.is_credit)

    patch.setattr(aging, "allocated_amounts", wrong)


@fault
def thirty_days_late_is_later(patch: pytest.MonkeyPatch) -> None:
    right = billing.ledger.receivables.days_before
    patch.setattr(aging, "days_before", lambda day, days: right(day, days - 1))


@fault
def what_is_due_today_is_late(patch: pytest.MonkeyPatch) -> None:
    right = billing.ledger.receivables.ages

    def wrong(due_on: Any, as_of: Any, oldest: Any) -> Any:
        late = {"days_1_to_30": and_(due_on <= as_of, due_on >= oldest["days_1_to_30"])}
        not_due = {"not_due": or_(due_on.is_(None), due_on > as_of)}
        return {**right(due_on, as_of, oldest), **not_due, **late}

    patch.setattr(aging, "ages", wrong)


@fault
def what_has_no_due_date_is_left_out(patch: pytest.MonkeyPatch) -> None:
    right = billing.ledger.receivables.ages
    patch.setattr(
        aging,
        "ages",
        lambda due_on, as_of, oldest: {**right(due_on, as_of, oldest), "not_due": due_on >= as_of},
    )


# -- scopes ----------------------------------------------------------------------------------------


@fault_in_documents
def sums_need_no_scope(patch: pytest.MonkeyPatch) -> None:
    for type_ in (Aging, RevenuePeriod):
        patch.setattr(type_, REQUIRED, NO_SCOPE)


@fault_in_documents
def bills_need_no_scope(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Invoice, REQUIRED, NO_SCOPE)


@fault_in_documents
def documents_need_no_scope_of_their_own(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DocumentLink, REQUIRED, PHI)


@fault_in_documents
def an_id_needs_no_scope(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(scopes, "types_of_ids", lambda *_: iter(()))
