"""Stripe's currencies: the supported ones, their units, and the range of amounts.

Source: docs.stripe.com/currencies. Amounts are integers in Stripe's own unit of the currency.
"""

from sandbox.errors import StripeError, invalid

ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())
# Their last digit must be 0.
THREE_DECIMAL = frozenset("bhd jod kwd omr tnd".split())
# Sent with two decimals, of which both must be 0.
WHOLE_ONLY = frozenset("isk ugx".split())
TWO_DECIMAL = frozenset(
    "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad"
    " cdf chf cny cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl"
    " htg huf idr ils inr jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur"
    " mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd"
    " scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah usd uyu uzs wst xcd xcg"
    " yer zar zmw".split()
)
SUPPORTED = ZERO_DECIMAL | THREE_DECIMAL | WHOLE_ONLY | TWO_DECIMAL
# For an unlisted currency Stripe converts the amount. The double can't, and takes 1.
MINIMA = {
    "usd": 50, "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500,
    "dkk": 250, "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000,
    "myr": 200, "nok": 300, "nzd": 50, "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip
# Eight digits.
MAXIMUM = 99_999_999


def check_amount(amount: int, currency: str) -> None:
    """Refuse unsupported currencies, and amounts outside a currency's limits."""
    if currency not in SUPPORTED:
        raise invalid(
            f"Invalid currency: {currency}. Stripe does not support it.", None, "currency"
        )
    check_unit(amount, currency)
    least = MINIMA.get(currency, 1)
    if amount < least:
        message = f"Amount must be at least {format_amount(least, currency)}"
        raise invalid(message, "amount_too_small", "amount")
    if amount > MAXIMUM:
        message = f"Amount must be no more than {format_amount(MAXIMUM, currency)}"
        raise invalid(message, "amount_too_large", "amount")


def check_unit(amount: int, currency: str) -> None:
    if currency in THREE_DECIMAL and amount % 10:
        raise fractional(f"Invalid amount. {currency.upper()} amounts must be divisible by 10.")
    if currency in WHOLE_ONLY and amount % 100:
        raise fractional(
            f"Invalid amount. Currency {currency.upper()} has become effectively zero-decimal and"
            " charged amounts must be evenly divisible by 100."
        )


def fractional(message: str) -> StripeError:
    return invalid(message, "invalid_charge_amount_no_decimal_compatible", "amount")


def format_amount(amount: int, currency: str) -> str:
    decimals = 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2
    return f"{amount / 10**decimals:,.{decimals}f} {currency}"
