"""Random histories over months: each statement equals the account history and `balance(asOf:)` on
its last day, and aging and revenue are sums of the ledger.
"""

from pathlib import Path

import pytest
from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from models.ids import new_id
from tests.conftest import SEED
from tests.payments.state_machine import NewDatabase, sized, statements
from tests.support import postgres, shares
from tests.support.fixtures import sqlite_file

pytestmark = pytest.mark.campaign
STEPS = 30


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove pauses between retries; the state machine runs the background work."""
    monkeypatch.setattr("billing.stripe.calls.BACKOFFS_S", (0.0, 0.0))


def compare_histories(new: NewDatabase) -> None:
    histories = shares.number(100, quick=2)
    machine = statements.made(new)
    run_state_machine_as_test(seed(SEED)(machine), settings=sized(histories, STEPS))
    assert machine.told["histories"] >= histories
    assert machine.told["statements"] > histories, machine.told


def test_statements_of_random_histories_on_sqlite(tmp_path: Path) -> None:
    compare_histories(lambda: sqlite_file(tmp_path / f"{new_id()}.sqlite"))


@pytest.mark.server
def test_statements_of_random_histories_on_postgresql(postgres_url: str) -> None:
    compare_histories(lambda: postgres.database(postgres_url))
