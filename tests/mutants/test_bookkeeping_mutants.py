"""Planted faults of the ledger's rules and of statements: with each a state machine fails."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import true

from billing.entry import outside_payments
from billing.entry import statements as statements_entry
from billing.entry.client_ledger import ClientLedger
from billing.ledger import taking_back
from billing.ledger.allocation import AmountsDue, Share
from billing.ledger.balance import Account, AccountStatements
from billing.ledger.invoices import InvoiceTotals
from billing.payments import settle
from models import Allocation
from models.ids import new_id
from tests.conftest import SEED
from tests.payments.state_machine import bookkeeping, sized, statements
from tests.support.fixtures import sqlite_file

pytestmark = [pytest.mark.campaign, pytest.mark.slow]

Plant = Callable[[pytest.MonkeyPatch], None]
EXAMPLES, STEPS = 30, 50


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing.stripe.calls.BACKOFFS_S", (0.0, 0.0))


def amounts_taken_back_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    right = AccountStatements.amount_of

    def wrong(self: AccountStatements, rows: Any) -> Any:
        statement = right(self, rows)
        is_allocation = rows.element is Allocation.__table__
        return statement.where(rows.c.amount_minor > 0) if is_allocation else statement

    patch.setattr(AccountStatements, "amount_of", wrong)


def nothing_is_taken_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(taking_back, "take_back", lambda *_: iter(()))


def an_invoice_gets_more_than_is_due(patch: pytest.MonkeyPatch) -> None:
    def wrong(amounts_due: AmountsDue, charged_minor: int) -> list[Share]:
        return [Share(due.invoice_id, charged_minor, False) for due in amounts_due.invoices[:1]]

    patch.setattr(outside_payments, "allocate", wrong)


def a_past_balance_counts_later_entries(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AccountStatements, "until", lambda *_: true())


def the_balance_counts_no_write_offs(patch: pytest.MonkeyPatch) -> None:
    def wrong(self: Account) -> Any:
        # The account of `portal verify` has plain numbers, and only those that its rules need.
        counted = self.movements
        has_terms = not isinstance(counted, dict) or "written_off" in counted
        return counted["balance"] - (counted["written_off"] if has_terms else 0)

    patch.setattr(Account, "balance", property(wrong))


def the_amount_due_counts_no_payments(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(InvoiceTotals, "due", property(lambda self: self.billed["total"]))


def the_terms_count_no_adjustments(patch: pytest.MonkeyPatch) -> None:
    right = Account.terms.fget  # type: ignore[attr-defined]
    patch.setattr(Account, "terms", property(lambda self: right(self)[:-1]))


def a_payment_is_entered_short(patch: pytest.MonkeyPatch) -> None:
    entry = settle.payment_entry

    def one_less(*given: Any) -> Any:
        row = entry(*given)
        return row | {"amount_minor": row["amount_minor"] + 1}

    patch.setattr(settle, "payment_entry", one_less)


# -- a planted fault of statements -----------------------------------------------------------------


def a_statement_counts_by_the_day_of_service(patch: pytest.MonkeyPatch) -> None:
    def wrong(ledger: ClientLedger, day: dt.date) -> int:
        return sum(row["amount_minor"] for row in ledger.entries if row["date"] < day)

    patch.setattr(statements_entry, "balance_before", wrong)


@pytest.mark.parametrize(
    "plant",
    [
        amounts_taken_back_are_not_counted,
        nothing_is_taken_back,
        an_invoice_gets_more_than_is_due,
        a_past_balance_counts_later_entries,
        the_balance_counts_no_write_offs,
        the_amount_due_counts_no_payments,
        the_terms_count_no_adjustments,
        a_payment_is_entered_short,
    ],
)
def test_with_the_fault_the_books_fail(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    fails(bookkeeping.made(lambda: sqlite_file(tmp_path / f"{new_id()}.sqlite")))


def test_with_a_statement_by_the_day_of_service_the_statements_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_statement_counts_by_the_day_of_service(monkeypatch)
    fails(statements.made(lambda: sqlite_file(tmp_path / f"{new_id()}.sqlite")))


def fails(machine: type[bookkeeping.Bookkeeping]) -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(seed(SEED)(machine), settings=sized(EXAMPLES, STEPS))
