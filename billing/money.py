"""Currencies: how many decimals each has, and the smallest amount that a card can be charged."""

from decimal import Decimal

# ISO 4217: the currencies that don't have two decimals.
WITHOUT_DECIMALS = frozenset(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split()
)
WITH_THREE = frozenset("BHD IQD JOD KWD LYD OMR TND".split())

# Stripe's smallest charges, in minor units; elsewhere the worth of some fifty cents.
SMALLEST_CHARGE = {"USD": 50, "EUR": 50, "GBP": 30, "CAD": 50, "AUD": 50, "CHF": 50, "JPY": 50}
OTHER_SMALLEST_CHARGE = Decimal("0.50")


def digits(currency: str) -> int:
    """The decimals of an amount in this currency."""
    if currency in WITHOUT_DECIMALS:
        return 0
    return 3 if currency in WITH_THREE else 2


def smallest_charge(currency: str) -> int:
    """The smallest amount that a card can be charged, in minor units."""
    other = int(OTHER_SMALLEST_CHARGE.scaleb(digits(currency)).to_integral_value()) or 1
    return SMALLEST_CHARGE.get(currency, other)
