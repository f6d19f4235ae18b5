"""The part of the suite that a quick run takes."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support import shares
from tests.support.demo_server import PROJECT


@dataclass(frozen=True)
class Case:
    """A test, as far as a share depends on it."""

    nodeid: str
    markers: dict[str, pytest.Mark] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        return self.nodeid.partition("::")[2]

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return self.markers.get(name)


def cases(file: str, *markers: pytest.MarkDecorator, count: int = 20) -> list[Any]:
    marks = {one.name: one.mark for one in markers}
    return [
        Case(f"{file}::test_pay[{database}-{number}]", marks)
        for database in ("sqlite", "postgresql")
        for number in range(count)
    ]


def by_database(taken: list[Any]) -> Counter[bool]:
    return Counter(shares.is_on_postgresql(case.nodeid) for case in taken)


def test_share_is_a_part_of_each_function_on_each_database() -> None:
    taken, left = shares.divided(cases("a.py", pytest.mark.share(6)))
    assert by_database(taken) == {False: 4, True: 4}
    assert by_database(left) == {False: 16, True: 16}
    few, _ = shares.divided(cases("a.py", pytest.mark.share(100)))
    assert by_database(few) == {False: 1, True: 1}


def test_functions_of_alike_shares_have_the_same_cases() -> None:
    alike = cases("a.py", pytest.mark.share(6, alike=True))
    others: list[Any] = [
        Case(one.nodeid.replace("test_pay", "test_refund"), one.markers) for one in alike
    ]
    taken, _ = shares.divided([*alike, *others])
    assert len(taken) == 16
    named = [case.name.partition("[")[2] for case in taken]
    assert named[:8] == named[8:]


def test_twins_are_a_part_of_the_module_on_postgresql() -> None:
    taken, _ = shares.divided(cases("a.py", pytest.mark.twins(4)))
    assert by_database(taken) == {False: 20, True: 5}


def test_folders_have_twins_too_except_modules_of_their_own_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shares, "TWINS", {"rules": 10})
    taken, _ = shares.divided(cases("rules/a.py"))
    assert by_database(taken) == {False: 20, True: 2}
    modules = [cases(f"rules/{number}.py") for number in range(15)]
    several, _ = shares.divided([case for module in modules for case in module])
    assert by_database(several) == {False: 300, True: 4}
    on_postgresql = {shares.module(one) for one in several if shares.is_on_postgresql(one.nodeid)}
    assert len(on_postgresql) == 2
    decided, _ = shares.divided(cases("rules/a.py", pytest.mark.twins(1)))
    assert by_database(decided) == {False: 20, True: 20}
    for other in ("a.py", "other/a.py", "rules/deep/a.py"):
        assert shares.divided(cases(other))[1] == []


def test_twins_are_a_part_of_the_share() -> None:
    taken, _ = shares.divided(cases("a.py", pytest.mark.share(2), pytest.mark.twins(5)))
    assert by_database(taken) == {False: 10, True: 2}


def test_share_is_the_same_in_any_order_and_in_another_folder() -> None:
    everything = cases("a.py", pytest.mark.share(6))
    taken, _ = shares.divided(everything)
    assert [*shares.divided(everything[::-1])[0]] == taken[::-1]
    moved, _ = shares.divided(cases("folder/a.py", pytest.mark.share(6)))
    assert [case.name for case in moved] == [case.name for case in taken]


def test_slow_tests_and_broken_networks_are_left_out_and_others_taken() -> None:
    plain = cases("a.py")
    for marker in (pytest.mark.slow, pytest.mark.faults):
        assert shares.divided([*plain, *cases("b.py", marker)])[0] == plain


def test_rest_is_what_a_quick_run_leaves_out_of_tests_that_are_not_long() -> None:
    shared, slow = cases("a.py", pytest.mark.share(6)), cases("b.py", pytest.mark.slow)
    later = cases("c.py", pytest.mark.rest)
    taken, left = shares.divided([*shared, *slow, *later])
    assert not {*taken} & {*later}
    shorter, longer = shares.rest(left)
    assert {*taken, *shorter} == {*shared, *later}
    assert longer == slow


def test_processes_take_a_file_on_one_database_at_a_time() -> None:
    files = {shares.file_and_database(case.nodeid) for case in [*cases("a.py"), *cases("b.py")]}
    assert len(files) == 4


def test_one_process_takes_all_tests_of_the_browser() -> None:
    browser = [f"tests/browser/test_{name}.py::test_pay" for name in ("page", "paying")]
    assert len({shares.file_and_database(nodeid) for nodeid in browser}) == 1


# -- the documented table --------------------------------------------------------------------------

REDUCES = re.compile(r"mark\.(share\b|slow\b|faults\b|rest\b|twins\((?!1\)))|shares\.number\(")


def test_every_reduced_module_is_documented() -> None:
    written = (PROJECT / "docs" / "testing.md").read_text()
    listed = {path.rstrip("/") for path in re.findall(r"`(tests/[\w/.]+)`", section(written))}
    reduced = {
        str(path.relative_to(PROJECT))
        for path in (PROJECT / "tests").rglob("test_*.py")
        if REDUCES.search(path.read_text()) and path != Path(__file__)
    }
    folder = "tests/fault_injection"
    single = {folder if path.startswith(folder) else path for path in reduced}
    assert single | {*shares.TWINS, "tests/support/shares.py"} == listed


def section(text: str) -> str:
    return text.partition("## What `make test` leaves out")[2].partition("\n## ")[0]
