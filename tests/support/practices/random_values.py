"""Random values of columns: few of each kind, each with its own difficulty."""

import datetime as dt
import random
from typing import Any

NOW = dt.datetime(2026, 3, 15, 12, tzinfo=dt.UTC)
TODAY = NOW.date()
STRINGS = (
    "",
    "Individual therapy",
    'O\'Brien "Bo" \\ 100% :name {0}',
    "\x01\x02 control \x1f\x7f",
    "😀 \U0001f469\u200d\U0001f467 ünï",
    "one\u2028two\u2029three",
    "שלום عليكم",
    "</script><!-- ]]>",
    "tab\tnew\nline\r",
    "$1 ? %(x)s null",
)
NAMES = (
    *STRINGS,
    "José María Núñez-Ångström",
    "jose maria",
    "Straße STRASSE",
    "\U00010400 \uff21b",
    "Ana-María O'Neill",
)
AMOUNTS = (0, 5, 49, 50, 99, 100, 101, 12_500, 12_500, 999_999, 90_071_992_547)
MOMENT = dt.datetime(2026, 1, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC)
# The turn of the year is 73 days before.
DAYS = (-440, -120, -77, -74, -73, -60, -31, -30, -29, -3, -3, -1, -1, 0, 0, 1)
MONTHS = ((2025, 12), (2026, 2), (2026, 3), (2026, 4), (2026, 5), (2027, 2))


class Draws:
    """Random values."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def text(self) -> str:
        return self.chance.choice(STRINGS)

    def maybe(self, value: Any) -> Any:
        return self.chance.choice([value, None])

    def day(self) -> dt.date:
        """Return one of few days, so that there are ties; some are before the history's thirty
        days, and some around the turn of a year and its weeks.
        """
        return TODAY + dt.timedelta(days=self.chance.choice(DAYS))

    def shared(self) -> dt.datetime | None:
        return self.chance.choice([MOMENT, MOMENT, MOMENT, None])

    def amount(self, *, signed: bool = False) -> int:
        return self.chance.choice(AMOUNTS) * (self.chance.choice([1, 1, -1]) if signed else 1)

    def address(self) -> dict[str, Any]:
        if self.chance.random() < 0.4:
            return {}
        parts = {"line1": self.text(), "city": self.text(), "postal_code": "01234"}
        more = {"country": "US", "line2": self.maybe(""), "region": self.maybe("NY")}
        return {f"address_{name}": value for name, value in (parts | more).items()}
