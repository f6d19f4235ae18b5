"""Money, dates and numbers in a practice's locale."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal

from billing.money import currency_digits
from billing.practices import locale

# The locale for an unknown tag.
FALLBACK = Locale("en", "US")


def locale_of(tag: str) -> Locale:
    """Return the locale that documents are written in."""
    return locale(tag) or FALLBACK


@dataclass(frozen=True)
class Formatter:
    """The formats of a practice. `currency` is ISO 4217; `locale` is a BCP 47 tag, as `en-US`."""

    currency: str
    locale: str

    def money(self, minor: int) -> str:
        """Return an amount in minor units, with the currency's own decimals: `-$1,250.00`."""
        amount = Decimal(minor).scaleb(-currency_digits(self.currency))
        text = format_currency(
            abs(amount), self.currency, locale=locale_of(self.locale), currency_digits=False,
            format=self.pattern, decimal_quantization=False,
        )  # fmt: skip
        return f"\N{MINUS SIGN}{text}" if minor < 0 else text

    @property
    def pattern(self) -> str:
        """Return the locale's pattern with the currency's decimals. `money` adds the sign."""
        decimals = (
            "." + "0" * currency_digits(self.currency) if currency_digits(self.currency) else ""
        )
        standard = locale_of(self.locale).currency_formats["standard"].pattern.partition(";")[0]
        return str(standard).replace(".00", decimals)

    def balance(self, minor: int) -> str:
        """Return an amount that is owed. A credit is marked: `$25.00 CR`."""
        return f"{self.money(-minor)} CR" if minor < 0 else self.money(minor)

    def day(self, date: dt.date) -> str:
        return format_date(date, "medium", locale=locale_of(self.locale))

    def period(self, first: dt.date, last: dt.date) -> str:
        return f"{self.day(first)} \N{EN DASH} {self.day(last)}"

    def hundredths(self, count: int) -> str:
        """Return a quantity without superfluous decimals: `1`, `1.5`."""
        return str(format_decimal(Decimal(count).scaleb(-2), locale=locale_of(self.locale)))
