"""Random books: by all writers, payments, refunds and disputes, the ledger's invariants hold."""

from collections import Counter
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from models.ids import new_id
from tests.conftest import SEED
from tests.payments.state_machine import NewDatabase, bookkeeping, sized
from tests.support import postgres
from tests.support.fixtures import sqlite_file

pytestmark = pytest.mark.campaign
STEPS = 50
WRITERS = (
    *("issue_invoice", "void_invoice", "write_off_invoice", "adjust_invoice", "give_credit"),
    *("use_credit", "record_payment", "record_refund", "create_refund", "open_dispute"),
)


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove pauses between retries; the state machine runs the background work."""
    monkeypatch.setattr("billing.stripe.calls.BACKOFFS_S", (0.0, 0.0))


def keep_books(new: NewDatabase, examples: int) -> Counter[str]:
    """Keep random books, and return what happened how often."""
    machine = bookkeeping.made(new)
    run_state_machine_as_test(seed(SEED)(machine), settings=sized(examples, STEPS))
    assert machine.told["compared"] >= machine.told["steps"] // 2 >= 10 * examples
    return machine.told


def keep_long_books(new: NewDatabase) -> None:
    """Keep random books, and assert that every writer wrote something."""
    told = keep_books(new, 45)
    assert told["steps"] >= 2_000
    assert [writer for writer in WRITERS if not told[writer]] == []


def on_sqlite(folder: Path) -> NewDatabase:
    def new() -> AbstractAsyncContextManager[str]:
        return sqlite_file(folder / f"{new_id()}.sqlite")

    return new


def test_random_books_on_sqlite(tmp_path: Path) -> None:
    keep_books(on_sqlite(tmp_path), 2)


@pytest.mark.server
def test_random_books_on_postgresql(postgres_url: str) -> None:
    keep_books(lambda: postgres.database(postgres_url), 2)


@pytest.mark.faults
def test_two_thousand_steps_of_books_on_sqlite(tmp_path: Path) -> None:
    keep_long_books(on_sqlite(tmp_path))


@pytest.mark.faults
@pytest.mark.server
def test_two_thousand_steps_of_books_on_postgresql(postgres_url: str) -> None:
    keep_long_books(lambda: postgres.database(postgres_url))
