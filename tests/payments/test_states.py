"""The states of payments, refunds, disputes and card forms change by the tables alone."""

import enum
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.payments import states
from billing.payments.states import ForbiddenTransition
from models import (
    TRANSITIONS,
    DeclineReason,
    DisputeState,
    PaymentState,
    RefundState,
    SetupState,
)
from models.database import open_engine
from tests.payments.states import (
    ROWS,
    WRITER,
    allowed_transitions,
    assignments,
    writes_of_states,
)
from tests.payments.states.histories import run_histories
from tests.support.empty_databases import prepare
from tests.support.factories import NOON, Books

pytestmark = pytest.mark.twins(1)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
KINDS: tuple[Any, ...] = (PaymentState, RefundState, DisputeState, SetupState)


@pytest.fixture
async def conn(new_database: NewDatabase) -> AsyncIterator[AsyncConnection]:
    async with new_database() as url:
        await prepare(url)
        async with open_engine(url) as engine, engine.connect() as conn:
            await conn.begin()
            yield conn
            await conn.rollback()


def allowed(kind: type[enum.StrEnum]) -> set[tuple[Any, Any]]:
    table = ROWS[kind].__tablename__
    of_table = (one for one in allowed_transitions() if one[0] == table)
    return {(kind(before), kind(after)) for _, before, after in of_table}


def needed(state: Any, card: str) -> dict[str, Any]:
    """Return the columns that checks of the database require of a row in this state."""
    match state:
        case PaymentState():
            return {
                "paid_at": NOON if state is PaymentState.SUCCEEDED else None,
                "failure_reason": DeclineReason.GENERIC,
            }
        case SetupState():
            return {
                "payment_method_id": card if state is SetupState.KEPT else None,
                "reason": DeclineReason.GENERIC,
            }
    return {}


class Shelf:
    """Rows of one practice in given states."""

    def __init__(self, conn: AsyncConnection, books: Books) -> None:
        self.conn, self.books = conn, books
        self.card = ""

    async def row(self, state: Any) -> list[Any]:
        """Insert a row in this state, and return the conditions for it."""
        books, row = self.books, ROWS[type(state)]
        client = await books.client()
        self.card = await books.card(client, stripe_id=f"pm_{client}")
        given = {"client_id": client, "stripe_id": f"id_{client}", "state": state}
        if row not in (ROWS[PaymentState], ROWS[SetupState]):
            given["payment_id"] = await books.payment(client)
        id_ = await books.add(row, **given, **needed(state, self.card))
        return [row.practice_id == books.practice, row.id == id_]

    async def state(self, kind: type[enum.StrEnum], where: Iterable[Any]) -> Any:
        return await self.conn.scalar(select(ROWS[kind].state).where(*where))


@pytest.fixture
async def shelf(conn: AsyncConnection) -> Shelf:
    return Shelf(conn, await Books.opened(conn))


@pytest.mark.parametrize("kind", KINDS)
def test_tables_allow_the_written_transitions(kind: Any) -> None:
    assert set(TRANSITIONS[kind].pairs()) == allowed(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_every_state_is_reached_and_explained(kind: Any) -> None:
    transitions = TRANSITIONS[kind]
    reached, left = set(transitions.first), -1
    while left != len(reached):
        left = len(reached)
        reached |= {after for before, after in transitions.pairs() if before in reached}
    assert reached == set(kind)
    said = [*transitions.first.values()]
    said += [cause for following in transitions.following.values() for cause in following.values()]
    assert all(said)


@pytest.mark.parametrize("kind", KINDS)
async def test_database_refuses_every_other_transition(kind: Any, shelf: Shelf) -> None:
    """The statements pass by the writer, as an operator's own SQL would."""
    made = set()
    for before in kind:
        where = await shelf.row(before)
        for after in kind:
            change = update(ROWS[kind]).where(*where)
            values = {"state": after} | needed(after, shelf.card)
            savepoint = await shelf.conn.begin_nested()
            try:
                await shelf.conn.execute(change.values(values))
                made.add((before, after))
            except IntegrityError:
                pass
            await savepoint.rollback()
    assert made == allowed(kind) | {(state, state) for state in kind}


@pytest.mark.parametrize("kind", KINDS)
async def test_writer_refuses_every_other_transition(kind: Any, shelf: Shelf) -> None:
    made = set()
    for before, after in itertools.product(kind, kind):
        where = await shelf.row(before)
        values = needed(after, shelf.card)
        try:
            assert await states.change(shelf.conn, where, before, after, NOON, **values)
            made.add((before, after))
        except ForbiddenTransition:
            assert await shelf.state(kind, where) is before
        else:
            assert await shelf.state(kind, where) is after
        # Only one payment of a client may be active, and only one refund requested.
        await shelf.conn.rollback()
        await shelf.conn.begin()
        shelf.books = await Books.opened(shelf.conn)
    assert made == allowed(kind)


@pytest.mark.parametrize("kind", KINDS)
async def test_writer_changes_no_row_that_has_another_state_by_now(kind: Any, shelf: Shelf) -> None:
    for before, after in sorted(allowed(kind)):
        for other in set(kind) - {before}:
            where = await shelf.row(other)
            values = needed(after, shelf.card)
            assert not await states.change(shelf.conn, where, before, after, NOON, **values)
            assert await shelf.state(kind, where) is other


def test_new_row_has_a_first_state() -> None:
    assert states.first(PaymentState.CREATED) == {"state": PaymentState.CREATED}
    for state in (PaymentState.CONFIRMING, PaymentState.FAILED, SetupState.KEPT):
        with pytest.raises(ForbiddenTransition):
            states.first(state)


# -- no other place writes a state -----------------------------------------------------------------


def test_no_other_code_assigns_a_state() -> None:
    """The demo invents a past, with payments that were declined or are under way."""
    assert writes_of_states() == {WRITER, "demo/card_payments.py"}


@pytest.mark.parametrize(
    "planted",
    [
        "update(Payment).where(mine).values(state=PaymentState.SUCCEEDED)",
        "update(Payment).values({'state': state, 'paid_at': now})",
        "update(Payment).values({Payment.state: state})",
        "values['state'] = state",
        "payment.state = state",
        "dict(state=state)",
        "text('UPDATE payment SET state = :state')",
    ],
)
def test_an_assignment_elsewhere_is_found(planted: str) -> None:
    assert list(assignments(planted)) == [1]


def test_reading_a_state_is_no_assignment() -> None:
    assert not list(assignments("select(Payment.state).where(Payment.state == row['state'])"))


# -- random histories ------------------------------------------------------------------------------


def test_random_histories_make_allowed_transitions_alone(tmp_path: Path) -> None:
    assert len(run_histories(f"sqlite:///{tmp_path}/portal.db", 12)) >= 10


@pytest.mark.faults
def test_many_random_histories_make_every_allowed_transition(tmp_path: Path) -> None:
    # Payments by credit and kept cards are not in these histories.
    possible = {one for one in allowed_transitions() if one[0] != "card_setup"}
    possible.remove(("payment", "CREATED", "SUCCEEDED"))
    assert run_histories(f"sqlite:///{tmp_path}/portal.db", 600, possible) == possible
