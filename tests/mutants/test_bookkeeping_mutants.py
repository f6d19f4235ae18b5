"""Planted faults of the ledger's rules: with each the state machine of the books fails."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import true

from billing.entry import outside_payments
from billing.ledger import taking_back
from billing.ledger.allocation import AmountsDue, Share
from billing.ledger.balance import AccountStatements
from models import Allocation
from models.ids import new_id
from tests.conftest import SEED, sqlite_file
from tests.payments.state_machine import bookkeeping, sized

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


@pytest.mark.parametrize(
    "plant",
    [
        amounts_taken_back_are_not_counted,
        nothing_is_taken_back,
        an_invoice_gets_more_than_is_due,
        a_past_balance_counts_later_entries,
    ],
)
def test_with_the_fault_the_books_fail(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    machine = bookkeeping.made(lambda: sqlite_file(tmp_path / f"{new_id()}.sqlite"))
    with pytest.raises(AssertionError):
        run_state_machine_as_test(seed(SEED)(machine), settings=sized(EXAMPLES, STEPS))
