"""Planted faults of the rules for which the ledger was made: with each, its case fails."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, true

from billing.entry import invoices
from billing.ledger import taking_back
from billing.ledger.balance import Account, AccountStatements
from billing.payments import receipts, reversals, settle
from models.append_only import unprotect
from models.literals import constant
from resolvers import account_history
from resolvers.filters import within_dates
from tests.payments import test_ledger_cases as cases
from tests.support.payments import Paying, paying

pytestmark = pytest.mark.slow

Plant = Callable[[Paying, pytest.MonkeyPatch], Coroutine[Any, Any, None]]
Case = Callable[[Paying], Coroutine[Any, Any, None]]

money_is_refunded = partial(
    cases.test_money_that_leaves_reopens_invoices_in_order, taken_by="refund"
)
money_is_disputed = partial(
    cases.test_money_that_leaves_reopens_invoices_in_order, taken_by="dispute"
)


@pytest.fixture
async def portal(tmp_path: Path) -> AsyncIterator[Paying]:
    async with paying(f"sqlite:///{tmp_path / 'portal.sqlite'}") as it:
        yield it


# -- planted faults --------------------------------------------------------------------------------


async def allocations_of_money_that_left_stay(_: Paying, patch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: Any) -> None:
        """Move no allocation."""

    patch.setattr(reversals, "move_allocations", nothing)


async def the_first_allocation_is_taken_back_first(_: Paying, patch: pytest.MonkeyPatch) -> None:
    def wrong(allocated: taking_back.Allocated, minor: int, *_: Any) -> Iterator[Any]:
        for source, allocated_minor in allocated.items():
            part = min(minor, allocated_minor)
            if part > 0:
                minor -= part
                yield source, part

    patch.setattr(taking_back, "take_back", wrong)


async def debt_needs_no_invoice(portal: Paying, _: pytest.MonkeyPatch) -> None:
    def unchecked(conn: Connection) -> None:
        conn.exec_driver_sql("PRAGMA ignore_check_constraints = 1")

    event.listen(portal.engine.sync_engine, "begin", unchecked)


async def a_past_balance_counts_later_entries(_: Paying, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AccountStatements, "until", lambda *_: true())


async def the_history_lists_by_the_day_of_service(_: Paying, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        account_history,
        "posted_or_served",
        lambda entry, range_: within_dates(entry.c.date, range_),
    )


async def credit_is_not_subtracted(_: Paying, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Account, "charge_for", lambda _, due: due)


async def credit_is_not_shown(_: Paying, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Account, "credit_applied", constant(0))


async def a_negative_invoice_is_not_released(_: Paying, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(invoices, "move_allocation", lambda *_, **__: None)


async def rows_may_change(portal: Paying, _: pytest.MonkeyPatch) -> None:
    async with portal.engine.begin() as conn:
        for table in ("ledger_entry", "allocation", "receipt"):
            await conn.run_sync(unprotect, table)


async def a_payment_is_dated_by_its_event(_: Paying, patch: pytest.MonkeyPatch) -> None:
    entry = settle.payment_entry

    def wrong(*given: Any) -> Any:
        row = entry(*given)
        return row | {"date": row["posted_on"]}

    patch.setattr(settle, "payment_entry", wrong)


async def a_receipt_is_dated_by_its_event(_: Paying, patch: pytest.MonkeyPatch) -> None:
    create: Any = receipts.create_receipt

    async def wrong(*given: Any) -> Any:
        *others, now, _ = given
        return await create(*others, now, now.date())

    patch.setattr(receipts, "create_receipt", wrong)


@pytest.mark.parametrize(
    ("plant", "case"),
    [
        (allocations_of_money_that_left_stay, money_is_refunded),
        (allocations_of_money_that_left_stay, money_is_disputed),
        (the_first_allocation_is_taken_back_first, money_is_refunded),
        (the_first_allocation_is_taken_back_first, money_is_disputed),
        (debt_needs_no_invoice, cases.test_balance_carried_over_needs_an_invoice),
        (
            a_past_balance_counts_later_entries,
            cases.test_session_of_the_past_raises_the_balance_when_it_is_invoiced,
        ),
        (
            the_history_lists_by_the_day_of_service,
            cases.test_session_of_the_past_raises_the_balance_when_it_is_invoiced,
        ),
        (
            allocations_of_money_that_left_stay,
            cases.test_dispute_of_a_paid_invoice_is_not_paid_twice,
        ),
        (credit_is_not_subtracted, cases.test_two_bills_less_credit_are_what_pay_now_charges),
        (credit_is_not_shown, cases.test_two_bills_less_credit_are_what_pay_now_charges),
        (
            a_negative_invoice_is_not_released,
            cases.test_negative_invoice_is_credit_that_another_invoice_uses,
        ),
        (rows_may_change, cases.test_rows_of_the_books_are_neither_changed_nor_removed),
        (
            a_payment_is_dated_by_its_event,
            cases.test_payment_is_dated_by_the_day_on_which_the_money_moved,
        ),
        (
            a_receipt_is_dated_by_its_event,
            cases.test_payment_is_dated_by_the_day_on_which_the_money_moved,
        ),
    ],
)
async def test_with_the_fault_the_case_fails(
    plant: Plant, case: Case, portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    await plant(portal, monkeypatch)
    # ValueError is raised by unpacking a list that should have one item.
    with pytest.raises((AssertionError, ValueError, pytest.fail.Exception)):
        await case(portal)
