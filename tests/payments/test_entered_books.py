"""Random books that a program enters by mutations, together with payments by card, refunds and
disputes: the sums of the ledger hold, and the oracle agrees.
"""

from pathlib import Path

import pytest
from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from models.ids import new_id
from tests.conftest import SEED
from tests.payments.state_machine import NewDatabase, entered, sized
from tests.support import postgres, shares
from tests.support.fixtures import sqlite_file

pytestmark = pytest.mark.campaign
STEPS = 30
WRITERS = (
    *("issue_invoice", "void_invoice", "write_off_invoice", "adjust_invoice", "give_credit"),
    *("use_credit", "record_payment", "record_refund", "create_refund", "open_dispute"),
    "merge_clients",
)


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove pauses between retries; the state machine runs the background work."""
    monkeypatch.setattr("billing.stripe.calls.BACKOFFS_S", (0.0, 0.0))


def enter_histories(new: NewDatabase) -> None:
    histories = shares.number(20, quick=2)
    machine = entered.made(new)
    run_state_machine_as_test(seed(SEED)(machine), settings=sized(histories, STEPS))
    assert machine.told["judged"] >= histories
    print(machine.told)
    assert machine.told["issue_invoice"] >= 1, machine.told
    if histories > 2:
        assert machine.told["sent twice"] > 0
        assert [writer for writer in WRITERS if not machine.told[writer]] == []


def test_entered_books_of_random_histories_on_sqlite(tmp_path: Path) -> None:
    enter_histories(lambda: sqlite_file(tmp_path / f"{new_id()}.sqlite"))


@pytest.mark.server
def test_entered_books_of_random_histories_on_postgresql(postgres_url: str) -> None:
    enter_histories(lambda: postgres.database(postgres_url))
