"""Amounts of money in inputs, as minor units of the practice's currency."""

from collections.abc import Sequence
from decimal import Decimal

from billing.errors import InvalidInputError
from billing.money import currency_digits
from resolvers.mutations.inputs import GivenAmount


def to_minor(
    amount: GivenAmount, currency: str, path: Sequence[str], *, signed: bool = False
) -> int:
    """Return minor units of the practice's currency. Refuse another currency, more decimals than it
    has, and unless `signed` a negative amount.
    """
    if amount.currency != currency:
        raise InvalidInputError(f"Amounts are in {currency}.", (*path, "currency"))
    digits = currency_digits(currency)
    units = Decimal(amount.amount).scaleb(digits)
    if units != units.to_integral_value():
        raise InvalidInputError(f"{currency} has {digits} decimals.", (*path, "amount"))
    if units < 0 and not signed:
        raise InvalidInputError("The amount must not be negative.", (*path, "amount"))
    if abs(units) >= 2**53:
        raise InvalidInputError("The amount is too large.", (*path, "amount"))
    return int(units)
