"""Division of a range of days into calendar periods, cut off at both ends."""

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.ledger.periods import Period, split_into_periods

DAYS = st.dates(dt.date(1999, 12, 1), dt.date(2032, 3, 1))


def spans(first: str, last: str, period: Period) -> list[str]:
    found = split_into_periods(dt.date.fromisoformat(first), dt.date.fromisoformat(last), period)
    return [f"{start}/{end}" for start, end in found]


@given(one=DAYS, other=DAYS, period=st.sampled_from(Period))
def test_periods_cover_the_range(one: dt.date, other: dt.date, period: Period) -> None:
    first, last = sorted((one, other))
    found = list(split_into_periods(first, last, period))
    assert (found[0][0], found[-1][1]) == (first, last)
    for (start, end), (following, _) in pairwise(found):
        assert start <= end
        assert following == end + dt.timedelta(1)


@pytest.mark.parametrize(
    ("first", "last", "period", "expected"),
    [
        ("2024-12-28", "2025-01-06", Period.WEEK,
         ["2024-12-28/2024-12-29", "2024-12-30/2025-01-05", "2025-01-06/2025-01-06"]),
        ("2024-02-28", "2024-03-01", Period.DAY,
         ["2024-02-28/2024-02-28", "2024-02-29/2024-02-29", "2024-03-01/2024-03-01"]),
        ("2024-02-29", "2024-03-31", Period.MONTH,
         ["2024-02-29/2024-02-29", "2024-03-01/2024-03-31"]),
        ("2025-11-15", "2026-04-01", Period.QUARTER,
         ["2025-11-15/2025-12-31", "2026-01-01/2026-03-31", "2026-04-01/2026-04-01"]),
        ("2025-12-31", "2026-01-01", Period.YEAR,
         ["2025-12-31/2025-12-31", "2026-01-01/2026-01-01"]),
        ("9999-12-20", "9999-12-31", Period.WEEK,
         ["9999-12-20/9999-12-26", "9999-12-27/9999-12-31"]),
        ("0001-01-01", "0001-01-02", Period.YEAR, ["0001-01-01/0001-01-02"]),
        ("2026-03-15", "2026-03-15", Period.MONTH, ["2026-03-15/2026-03-15"]),
    ],
)  # fmt: skip
def test_periods_are_those_of_the_calendar(
    first: str, last: str, period: Period, expected: list[str]
) -> None:
    assert spans(first, last, period) == expected
