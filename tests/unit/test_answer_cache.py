"""The cache of answers: its keys, its bound, and when it looks versions up."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

import pytest

from execution.answer_cache import AnswerCache
from execution.request_viewer import RequestViewer
from identity.data_versions import MISSING
from identity.viewer import NOBODY, Viewer
from models import DataScope
from models.database import Statement
from planner.json_text import NULL_VIOLATION
from planner.plan import Plan


class Sender:
    """A viewer over data with a version, who counts the look-ups and reads."""

    def __init__(self, viewer: Viewer = NOBODY) -> None:
        self.viewer, self.data_version, self.text = viewer, "1", "a"
        self.calls: list[str] = []

    async def versions(self, scope: DataScope) -> str:
        self.calls.append("versions")
        return self.data_version

    async def read_with_versions(self, statement: Statement, scope: DataScope) -> tuple[str, Any]:
        self.calls.append("both")
        return self.data_version, self.text

    async def read(self, statement: Statement) -> Any:
        self.calls.append("read")
        return self.text


def plan(scope: DataScope | None = DataScope.VIEWER) -> Plan:
    return Plan("SELECT 1", (), scope=scope)


async def read(
    cache: AnswerCache, sender: Sender, of: Plan, values: Sequence[Any] = ()
) -> bytes | None:
    return await cache.read(of, values, cast("RequestViewer", sender))


async def test_an_answer_is_kept_while_its_versions_are_the_same() -> None:
    cache, sender, of = AnswerCache(10**6), Sender(), plan()
    for _ in range(3):
        assert await read(cache, sender, of) == b"a"
    assert sender.calls == ["both", "versions", "versions"]


async def test_data_that_changes_with_each_request_is_not_looked_up_before() -> None:
    cache, sender, of = AnswerCache(10**6), Sender(), plan()
    for number in range(6):
        sender.data_version, sender.text = str(number), f"answer {number}"
        assert await read(cache, sender, of) == f"answer {number}".encode()
    assert sender.calls == ["both", "versions", *["both"] * 5]
    for _ in range(2):
        assert await read(cache, sender, of) == b"answer 5"
    assert sender.calls[-2:] == ["both", "versions"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1], [True]),
        ([1], ["1"]),
        ([0], [False]),
        ([[1]], [[True]]),
        ([["a", "b"]], ["a", "b"]),
        (["a"], ["b"]),
        ([dt.date(2026, 3, 1)], [dt.date(2026, 3, 2)]),
        ([dt.datetime(2026, 3, 1, tzinfo=dt.UTC)], [dt.date(2026, 3, 1)]),
    ],
)
async def test_other_parameters_are_of_other_answers(first: list[Any], second: list[Any]) -> None:
    cache, sender, of = AnswerCache(10**6), Sender(), plan()
    await read(cache, sender, of, first)
    await read(cache, sender, of, second)
    assert sender.calls == ["both", "both"]
    await read(cache, sender, of, [*first])
    assert sender.calls[-1] == "versions"


@pytest.mark.parametrize("value", [1.0, Decimal("1.0"), ["a", 1.5], [["a"]], object()])
async def test_values_that_may_be_equal_and_differ_are_in_no_key(value: Any) -> None:
    cache, sender, of = AnswerCache(10**6), Sender(), plan()
    for _ in range(2):
        await read(cache, sender, of, [value])
    assert sender.calls == ["read", "read"]


async def test_the_same_statement_of_another_plan_or_practice_has_no_answer() -> None:
    cache, sender, of = AnswerCache(10**6), Sender(), plan()
    await read(cache, sender, of)
    await read(cache, sender, plan())
    other = Viewer(**{**vars_of(NOBODY), "practice_id": "another"})
    elsewhere = Sender(other)
    await read(cache, elsewhere, of)
    assert (sender.calls, elsewhere.calls) == (["both", "both"], ["both"])


def vars_of(viewer: Viewer) -> dict[str, Any]:
    return {name: getattr(viewer, name) for name in Viewer.__dataclass_fields__}


@pytest.mark.parametrize("size", [0, 10**6])
async def test_nothing_is_kept_without_room_or_without_a_scope(size: int) -> None:
    cache, sender = AnswerCache(size), Sender()
    of = plan(None if size else DataScope.VIEWER)
    for _ in range(2):
        assert await read(cache, sender, of) == b"a"
    assert sender.calls == ["read", "read"]
    assert cache.items.weight == 0


@pytest.mark.parametrize("versions", [None, f"1{MISSING}"])
async def test_an_answer_of_data_without_a_version_is_not_kept(versions: Any) -> None:
    cache, sender, of = AnswerCache(10**6), Sender(), plan()
    sender.data_version = versions
    for _ in range(2):
        assert await read(cache, sender, of) == b"a"
    assert sender.calls == ["both", "both"]


async def test_an_answer_with_a_wrong_null_is_not_kept() -> None:
    cache, sender, of = AnswerCache(10**6), Sender(), plan()
    sender.text = NULL_VIOLATION
    for _ in range(2):
        assert await read(cache, sender, of) is None
    assert sender.calls == ["both", "both"]


async def test_memory_is_bounded_and_a_viewer_with_many_answers_loses_its_own() -> None:
    cache, of = AnswerCache(200_000), plan()
    modest = Sender(Viewer(**{**vars_of(NOBODY), "subject_id": "modest"}))
    await read(cache, modest, of, ["page"])
    greedy = Sender()
    greedy.text = "x" * 5_000
    for number in range(300):
        await read(cache, greedy, of, [number])
        assert cache.items.weight <= 200_000
    assert len(cache.items.items) > 20
    await read(cache, modest, of, ["page"])
    assert modest.calls == ["both", "versions"]
    greedy.text = "x" * 100_000
    for _ in range(2):
        await read(cache, greedy, of, ["large"])
    assert greedy.calls[-2:] == ["both", "both"]
