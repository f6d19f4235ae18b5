"""The documentation's diagrams of states are those of the tables of transitions."""

from dataclasses import replace

import pytest

from models import PAYMENT_TRANSITIONS, TRANSITIONS, PaymentState
from tests.support.state_diagrams import ARCHITECTURE, DIAGRAM, with_diagrams


def test_diagrams_are_generated_from_the_tables() -> None:
    """`make diagrams` writes them again."""
    text = ARCHITECTURE.read_text()
    drawn = {mark["table"] for mark in DIAGRAM.finditer(text)}
    assert drawn == {transitions.table for transitions in TRANSITIONS.values()}
    assert with_diagrams(text) == text


def test_another_table_gives_another_diagram(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = replace(PAYMENT_TRANSITIONS, first={PaymentState.CREATED: "planted"})
    monkeypatch.setitem(TRANSITIONS, PaymentState, changed)  # type: ignore[misc]
    text = ARCHITECTURE.read_text()
    assert with_diagrams(text) != text
