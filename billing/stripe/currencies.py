"""Stripe's currencies: the units of its amounts, and the range of charges.

Stripe counts some currencies in other units than ISO 4217 does. Only the gateway uses those units;
everywhere else an amount is an integer in ISO's minor units.

Source: docs.stripe.com/currencies, and the limit of eight digits in the specification.
"""

from fractions import Fraction

from billing.money import currency_digits

# The currencies that cards are charged in.
SUPPORTED = frozenset(
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BWP BYN"
    " BZD CAD CDF CHF CLP CNY COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD"
    " GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK"
    " LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD"
    " OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SEK SGD SHP SLE SOS SRD STD"
    " SZL THB TJS TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VND VUV WST XAF XCD XCG XOF XPF YER"
    " ZAR ZMW".split()
)

ZERO_DECIMAL = frozenset("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split())
# The last digit of these amounts has to be 0.
THREE_DECIMAL = frozenset("BHD JOD KWD OMR TND".split())
# Sent with two decimals that have to be 0. Stripe's page lists UGX among the zero-decimal
# currencies too; its special case is the later rule, so that one is followed.
WHOLE = frozenset(("ISK", "UGX"))

# The smallest charges that Stripe publishes, in ISO's minor units. For a bank account in another
# currency the minimum may be higher; Stripe then rejects the charge.
MINIMUM = {
    "AED": 200,
    "AUD": 50,
    "BGN": 100,
    "BRL": 50,
    "CAD": 50,
    "CHF": 50,
    "CZK": 1_500,
    "DKK": 250,
    "EUR": 50,
    "GBP": 30,
    "HKD": 400,
    "HUF": 17_500,
    "INR": 50,
    "JPY": 50,
    "MXN": 1_000,
    "MYR": 200,
    "NOK": 300,
    "NZD": 50,
    "PLN": 200,
    "RON": 200,
    "SEK": 300,
    "SGD": 50,
    "THB": 1_000,
    "USD": 50,
}
# In Stripe's own units.
LARGEST = 99_999_999


class NotChargeable(ValueError):
    """An amount that Stripe can't represent. Amounts are never rounded."""


def decimals(currency: str) -> int:
    """Return the number of decimals of a currency at Stripe."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def to_stripe(minor: int, currency: str) -> int:
    """Return an amount in Stripe's units. Raise NotChargeable if it would have to be rounded."""
    units = minor * units_per_minor(currency)
    if units.denominator != 1 or int(units) % step(currency):
        raise NotChargeable(f"{currency} is charged in steps of {increment(currency)} minor units")
    return int(units)


def from_stripe(units: int, currency: str) -> int:
    """Return an amount in ISO's minor units. Charges made by Stripe itself may need rounding."""
    return round(units / units_per_minor(currency.upper()))


def increment(currency: str) -> int:
    """Return the step that amounts are charged in, in ISO's minor units."""
    return max(int(step(currency) / units_per_minor(currency)), 1)


def smallest_charge(currency: str) -> int:
    """Return the smallest charge, in ISO's minor units: Stripe's minimum, else one increment."""
    return MINIMUM.get(currency, increment(currency))


def largest_charge(currency: str) -> int:
    """Return the largest charge, in ISO's minor units."""
    largest = int(LARGEST / units_per_minor(currency))
    return largest - largest % increment(currency)


def step(currency: str) -> int:
    """Return the number that amounts in Stripe's units have to be a multiple of."""
    if currency in WHOLE:
        return 100
    return 10 if currency in THREE_DECIMAL else 1


def units_per_minor(currency: str) -> Fraction:
    """Return the number of Stripe's units in one of ISO's minor units."""
    return Fraction(10) ** (decimals(currency) - currency_digits(currency))
