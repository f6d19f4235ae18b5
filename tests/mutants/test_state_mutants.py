"""The assertion of each change of a state, the tables and the triggers are needed."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.payments import reversals, states
from billing.payments.states import ForbiddenTransition
from models import PAYMENT_TRANSITIONS, TRANSITIONS, PaymentState, State
from tests.payments import test_states
from tests.payments.states import histories
from tests.payments.states.histories import run_histories
from tests.support.triggers import STATEFUL, remove_triggers, watch_transitions

pytestmark = [pytest.mark.campaign, pytest.mark.rest]

EXAMPLES = 40


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/portal.db"


@pytest.fixture
def without_triggers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no trigger refuse a forbidden transition in the histories' database."""

    async def only_watch(engine: AsyncEngine) -> None:
        await remove_triggers(engine, *STATEFUL)
        await watch_transitions(engine)

    monkeypatch.setattr(histories, "watch_transitions", only_watch)


@pytest.fixture
def without_assertion(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (states, reversals):
        monkeypatch.setattr(module, "allowed", lambda *_: True)
    monkeypatch.setattr(reversals, "is_final", lambda _: False)


@pytest.fixture
def one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the table allow that a payment that succeeded ends otherwise."""
    following: Mapping[State, Mapping[State, str]] = {
        **PAYMENT_TRANSITIONS.following,
        PaymentState.SUCCEEDED: {PaymentState.FAILED: "", PaymentState.CANCELED: ""},
    }
    table = replace(PAYMENT_TRANSITIONS, following=following)
    monkeypatch.setitem(TRANSITIONS, PaymentState, table)  # type: ignore[misc]


def test_without_the_assertion_the_database_refuses(without_assertion: None, url: str) -> None:
    with pytest.raises(IntegrityError, match="no such transition"):
        run_histories(url, EXAMPLES)


def test_without_assertion_and_triggers_the_histories_fail(
    without_assertion: None, without_triggers: None, url: str
) -> None:
    with pytest.raises(AssertionError):
        run_histories(url, EXAMPLES)


def test_a_transition_too_many_is_refused_by_the_database(one_too_many: None, url: str) -> None:
    with pytest.raises(IntegrityError, match="no such transition"):
        run_histories(url, EXAMPLES)


def test_a_transition_too_many_is_found(one_too_many: None) -> None:
    with pytest.raises(AssertionError):
        test_states.test_tables_allow_the_written_transitions(PaymentState)


def test_a_missing_transition_is_found(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A payment would never get its PaymentIntent's id."""
    following = {**PAYMENT_TRANSITIONS.following, PaymentState.CREATED: {}}
    table = replace(PAYMENT_TRANSITIONS, following=following)
    monkeypatch.setitem(TRANSITIONS, PaymentState, table)  # type: ignore[misc]
    with pytest.raises(ForbiddenTransition):
        run_histories(url, EXAMPLES)
