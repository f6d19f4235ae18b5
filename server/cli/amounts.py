"""Amounts on the command line and in files, such as 12.50."""

from decimal import Decimal

from billing.money import currency_digits
from server.command_errors import CommandError

# More digits than any amount has: Python would count those of 1e999999 for a minute.
MOST_DIGITS = 20


class WrongAmount(CommandError):
    """A text that is not an amount. Nothing was changed."""


def minor_units(amount: str | Decimal, currency: str) -> int:
    """Return an amount in minor units of the currency."""
    return scaled(amount, currency_digits(currency), f"an amount in {currency}")


def hundredths(number: str | Decimal) -> int:
    return scaled(number, 2, "a number with at most two decimals")


def scaled(text: str | Decimal, digits: int, meaning: str) -> int:
    try:
        units = Decimal(text).scaleb(digits)
        if units == units.to_integral_value() and units.adjusted() < MOST_DIGITS:
            return int(units)
    except (ArithmeticError, ValueError):
        pass
    raise WrongAmount(f"{text} is not {meaning}.")


def decimal(minor: int, currency: str) -> str:
    """Return an amount in minor units as text: 12.50."""
    return str(Decimal(minor).scaleb(-currency_digits(currency)))
