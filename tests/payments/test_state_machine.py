"""Random sequences of payments and faults: nothing is charged twice or lost."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from models.ids import new_id
from tests.conftest import SEED
from tests.payments.state_machine import aftermath, made, sized
from tests.support import postgres, shares
from tests.support.fixtures import sqlite_file

pytestmark = pytest.mark.campaign
REVERSALS = (
    *("refunds", "create_refund", "fail_refund", "open_dispute", "close_dispute"),
    *("keeps", "detach_method", "delete"),
)

# Examples of each test, and the steps of each. The first examples are the simplest ones.
PAYMENTS = shares.number(8, quick=3)
ON_SQLITE = shares.number(28, quick=3)
ON_POSTGRESQL = shares.number(8, quick=2)
STEPS = 45


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove pauses between retries; the state machine runs the background work."""
    monkeypatch.setattr("billing.stripe.calls.BACKOFFS_S", (0.0, 0.0))


def test_random_payments_on_sqlite(tmp_path: Path) -> None:
    def new() -> AbstractAsyncContextManager[str]:
        return sqlite_file(tmp_path / f"{new_id()}.sqlite")

    machine = made(new)
    run_state_machine_as_test(seed(SEED)(machine), settings=sized(PAYMENTS, STEPS))
    assert machine.told["steps"] >= shares.number(300, quick=60)
    assert machine.told["PaySucceeded"] >= shares.number(8, quick=1), machine.told


def test_random_payments_cards_refunds_and_disputes_on_sqlite(tmp_path: Path) -> None:
    def new() -> AbstractAsyncContextManager[str]:
        return sqlite_file(tmp_path / f"{new_id()}.sqlite")

    machine = aftermath.made(new)
    run_state_machine_as_test(seed(SEED)(machine), settings=sized(ON_SQLITE, STEPS))
    assert machine.told["steps"] >= shares.number(1_000, quick=60)
    for done in REVERSALS:
        assert machine.told[done] >= ON_SQLITE // 14, (done, machine.told)


@pytest.mark.server
def test_random_payments_cards_refunds_and_disputes_on_postgresql(postgres_url: str) -> None:
    machine = aftermath.made(lambda: postgres.database(postgres_url))
    run_state_machine_as_test(seed(SEED)(machine), settings=sized(ON_POSTGRESQL, STEPS))
    assert machine.told["steps"] >= shares.number(300, quick=45)
