"""Calendar months, as documents are issued for them."""

import datetime as dt
import re
from dataclasses import dataclass

from billing.ledger.periods import end_of_month
from billing.time_zones import zone

DAY = dt.timedelta(days=1)
# The time of the day at which scheduled documents are issued, in the practice's time zone.
AT_NIGHT = dt.time(4)
FORM = re.compile(r"(\d{4})-(\d{2})", re.ASCII)


@dataclass(frozen=True)
class BillingMonth:
    """A month, by its first day."""

    first: dt.date

    @classmethod
    def of(cls, day: dt.date) -> "BillingMonth":
        return cls(day.replace(day=1))

    @classmethod
    def parse(cls, text: str) -> "BillingMonth":
        """Return the month that is written as 2026-10. Raise ValueError for any other text."""
        match = FORM.fullmatch(text)
        if match is None:
            raise ValueError("not a month")
        return cls(dt.date(int(match[1]), int(match[2]), 1))

    def __str__(self) -> str:
        return f"{self.first:%Y-%m}"

    @property
    def last(self) -> dt.date:
        return end_of_month(self.first, self.first.month)

    @property
    def following(self) -> "BillingMonth":
        return BillingMonth(self.last + DAY)

    @property
    def before(self) -> "BillingMonth":
        return BillingMonth.of(self.first - DAY)

    def due_at(self, day_of_month: int, time_zone: str) -> dt.datetime:
        """Return when the month's documents are due: in the night of a day of the next month."""
        day = self.following.first.replace(day=day_of_month)
        return dt.datetime.combine(day, AT_NIGHT, zone(time_zone)).astimezone(dt.UTC)
