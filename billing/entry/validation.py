"""Checks of the values of an input. Each raises an `EntryError` with the name of the field."""

import datetime as dt
import re
import unicodedata
from collections.abc import Sequence

from billing.entry.errors import EntryError, EntryErrorCode
from billing.luhn import checksum
from billing.practices import locale, portal_url_fault
from billing.time_zones import zone
from models.checks import AMOUNT_LIMIT, NOT_IN_ADDRESS
from models.currencies import CURRENCIES
from models.ids import UUID

# The lengths of texts: of names and codes, and of notes.
SHORT, LONG = 200, 5_000
# A day of a therapy practice; a typing error gives years such as 0202.
FIRST_DAY = dt.date(1900, 1, 1)
LAST_DAY = dt.date(2199, 12, 31)
# The largest amount. Sums of it stay exact, even over a million rows.
LARGEST_AMOUNT = AMOUNT_LIMIT // 1_000_000
EMAIL = re.compile(
    rf"[^@\s\[\]{re.escape(NOT_IN_ADDRESS)}]+@[^@\s\[\]{re.escape(NOT_IN_ADDRESS)}]+"
)
PATTERNS = {
    "a CPT or HCPCS code of five letters and digits": re.compile("[A-Z0-9]{5}"),
    "a modifier of two letters and digits": re.compile("[A-Z0-9]{2}"),
    "a place of service of two digits": re.compile("[0-9]{2}"),
    "an ICD-10-CM code": re.compile(r"[A-TV-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?"),
    "a country code of two letters": re.compile("[A-Z]{2}"),
    "an account at Stripe, such as acct_…, or own": re.compile("[A-Za-z0-9_-]{1,200}"),
    "the last four digits": re.compile("[0-9]{4}"),
    "an id": UUID,
    "a prefix of up to 12 letters, digits and hyphens": re.compile("[A-Za-z0-9][A-Za-z0-9-]{0,11}"),
}
CPT, MODIFIER, PLACE, DIAGNOSIS, COUNTRY, STRIPE_ACCOUNT, LAST_FOUR, ID, NUMBER_PREFIX = PATTERNS
# The issuer's number that the check digit of a National Provider Identifier counts in.
NPI_PREFIX = "80840"


def invalid(field: str, reason: str) -> EntryError:
    return EntryError(EntryErrorCode.INVALID_VALUE, f"{field} {reason}.", field)


def check_amount(field: str, minor: object, *, least: int = 1) -> None:
    """Refuse an amount that is no integer of minor units, or out of bounds."""
    if not isinstance(minor, int) or isinstance(minor, bool):
        raise invalid(field, "is no integer of minor units")
    if not least <= minor <= LARGEST_AMOUNT:
        raise invalid(field, f"is not between {least} and {LARGEST_AMOUNT}")


def check_signed_amount(field: str, minor: object) -> None:
    """Refuse an amount out of bounds, and zero."""
    check_amount(field, minor, least=-LARGEST_AMOUNT)
    if minor == 0:
        raise invalid(field, "is zero")


def check_day(field: str, day: object) -> None:
    """Refuse all but a plain date within two centuries."""
    if not isinstance(day, dt.date) or isinstance(day, dt.datetime):
        raise invalid(field, "is no date")
    if not FIRST_DAY <= day <= LAST_DAY:
        raise invalid(field, f"is not between {FIRST_DAY} and {LAST_DAY}")


def check_optional_day(field: str, day: object) -> None:
    if day is not None:
        check_day(field, day)


def check_period(first: dt.date, last: dt.date) -> None:
    check_day("period_start", first)
    check_day("period_end", last)
    if last < first:
        raise invalid("period_end", "is before period_start")


def check_moment(field: str, moment: object) -> None:
    """Refuse all but a time with its time zone, within two centuries."""
    if not isinstance(moment, dt.datetime) or moment.utcoffset() is None:
        raise invalid(field, "is no time with a time zone")
    check_day(field, moment.date())


def check_text(field: str, text: object, longest: int = SHORT) -> None:
    """Refuse a text that is empty, too long, or has control characters or lone surrogates.

    Only a long text may have several lines.
    """
    if not isinstance(text, str) or not text.strip():
        raise invalid(field, "is empty")
    if len(text) > longest:
        raise invalid(field, f"has more than {longest} characters")
    allowed = "\n" if longest == LONG else ""
    if not text.isprintable() and any(
        is_control(letter) for letter in text if letter not in allowed
    ):
        raise invalid(field, "has control characters")


def is_control(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")


def check_optional_text(field: str, text: object, longest: int = SHORT) -> None:
    if text is not None:
        check_text(field, text, longest)


def check_form(field: str, text: object, form: str) -> None:
    """Refuse a text that hasn't one of the forms of PATTERNS."""
    if not isinstance(text, str) or not PATTERNS[form].fullmatch(text):
        raise invalid(field, f"is not {form}")


def check_optional_form(field: str, text: object, form: str) -> None:
    if text is not None:
        check_form(field, text, form)


def check_ids(field: str, ids: Sequence[object]) -> None:
    for one in ids:
        check_form(field, one, ID)
    if len(set(ids)) < len(ids):
        raise invalid(field, "names a row twice")


def check_email(field: str, email: object) -> None:
    """Refuse all but one e-mail address, or none."""
    if email is None:
        return
    check_text(field, email)
    assert isinstance(email, str)
    if not EMAIL.fullmatch(email.strip(" ")):
        raise invalid(field, "is not one e-mail address")


def check_npi(field: str, npi: object) -> None:
    """Refuse a National Provider Identifier with a wrong check digit."""
    if npi is None:
        return
    if not isinstance(npi, str) or not re.fullmatch("[0-9]{10}", npi) or checksum(NPI_PREFIX + npi):
        raise invalid(field, "is not a National Provider Identifier: check its ten digits")


def check_whole(field: str, number: object, least: int, most: int) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
        raise invalid(field, f"is not an integer between {least} and {most}")


# -- settings of a practice ------------------------------------------------------------------------


def check_currency(field: str, currency: object) -> None:
    if currency not in CURRENCIES:
        raise invalid(field, "is not a currency of ISO 4217, such as USD")


def check_time_zone(field: str, name: object) -> None:
    if not isinstance(name, str) or zone(name) is None:
        raise invalid(field, "is not a time zone of the IANA database, such as America/New_York")


def check_locale(field: str, tag: object) -> None:
    if not isinstance(tag, str) or locale(tag) is None:
        raise invalid(field, "is not a locale, such as en-US")


def check_portal_url(field: str, url: object) -> None:
    if url is not None and (not isinstance(url, str) or portal_url_fault(url) is not None):
        raise invalid(field, "is not an https address, such as https://portal.example.com")
