"""The lag of a replica, from positions of two servers and a clock."""

import logging
from dataclasses import replace
from typing import Any, cast

import pytest

from models.database.replica_lag import LogPosition, ReplicaLag

PAGE = 8_192
MOST_S = 5.0
POSITION = LogPosition("00000001", 0, ("7", "portal", "serving", "{public}"))
NO_SERVER = cast(Any, None)


class Measured:
    """A lag with a clock of the test's own."""

    def __init__(self) -> None:
        self.now = 100.0
        self.lag = ReplicaLag(NO_SERVER, NO_SERVER, MOST_S, lambda: self.now)

    def measure(self, primary: int, replica: int, *, after: float = 1.0, **other: Any) -> None:
        self.now += after
        at = replace(POSITION, position=primary)
        self.lag.compare(self.now, at, replace(POSITION, position=replica, **other))


@pytest.fixture
def measured() -> Measured:
    return Measured()


def test_replica_is_not_read_before_it_is_measured(measured: Measured) -> None:
    assert not measured.lag.is_within_bound
    measured.measure(1_000, 999)
    assert not measured.lag.is_within_bound


def test_idle_primary_is_no_lag(measured: Measured) -> None:
    for _ in range(100):
        measured.measure(1_000, 1_000)
        assert measured.lag.is_within_bound
        assert measured.lag.seconds == 0


def test_lag_is_the_age_of_the_last_moment_that_was_reached(measured: Measured) -> None:
    for second in range(10):
        measured.measure(1_000 * second + 1_000, max(1_000 * second - 2_000, 1))
    assert measured.lag.seconds == 3
    measured.measure(20_000, 7_999)
    assert measured.lag.seconds == 4


def test_replica_that_stands_still_is_given_up_at_the_bound(measured: Measured) -> None:
    measured.measure(1_000, 1_000)
    for second in range(1, 10):
        measured.measure(1_000 + second, 1_000)
        assert measured.lag.is_within_bound is (second <= MOST_S)
    measured.measure(1_010, 1_010)
    assert measured.lag.is_within_bound


def test_lag_grows_while_the_primary_does_not_say(measured: Measured) -> None:
    measured.measure(1_000, 1_000)
    measured.now += MOST_S + 0.1
    assert not measured.lag.is_within_bound


@pytest.mark.parametrize("header", [24, 40])
def test_header_of_an_empty_page_is_no_lag(measured: Measured, header: int) -> None:
    """PostgreSQL tells the end of its log as behind it, and a replica's before it."""
    measured.measure(3 * PAGE + header, 3 * PAGE)
    assert measured.lag.is_within_bound
    measured.measure(3 * PAGE + header + 40, 3 * PAGE)
    assert measured.lag.seconds == 1


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"timeline": "00000002"}, "another primary"),
        ({"copy": ("8", "portal", "serving", "{public}")}, "no copy"),
        ({"copy": ("7", "portal", "owner", "{public}")}, "the same role"),
        ({"replica": 0}, "does not replay"),
    ],
)
def test_server_that_is_no_replica_is_not_read(
    measured: Measured, other: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    measured.measure(1_000, 1_000)
    with caplog.at_level(logging.WARNING, "portal"):
        for _ in range(3):
            measured.measure(1_000, **{"replica": 2_000, **other})
            assert not measured.lag.is_within_bound
    assert [reason in record.getMessage() for record in caplog.records] == [True]
