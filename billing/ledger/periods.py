"""Periods: days, weeks, months, quarters and years of a date range."""

import calendar
import datetime as dt
import enum
from collections.abc import Callable, Iterator, Mapping

Span = tuple[dt.date, dt.date]


class Period(enum.StrEnum):
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"
    QUARTER = "QUARTER"
    YEAR = "YEAR"


def split_into_periods(first: dt.date, last: dt.date, period: Period) -> Iterator[Span]:
    """Yield the first and last day of each period. The outer two end with the range."""
    start = first
    while start < last:
        end = min(last, ENDS[period](start))
        yield start, end
        if end == last:
            return
        start = end + dt.timedelta(1)
    yield start, last


def end_of_week(day: dt.date) -> dt.date:
    """Return the Sunday of the week, or the last possible date."""
    sunday = day.toordinal() - day.weekday() + 6
    return dt.date.fromordinal(min(sunday, dt.date.max.toordinal()))


def end_of_month(day: dt.date, month: int) -> dt.date:
    return dt.date(day.year, month, calendar.monthrange(day.year, month)[1])


ENDS: Mapping[Period, Callable[[dt.date], dt.date]] = {
    Period.DAY: lambda day: day,
    Period.WEEK: end_of_week,
    Period.MONTH: lambda day: end_of_month(day, day.month),
    Period.QUARTER: lambda day: end_of_month(day, (day.month + 2) // 3 * 3),
    Period.YEAR: lambda day: end_of_month(day, 12),
}
