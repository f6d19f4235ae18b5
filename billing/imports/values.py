"""The forms of values: how the text of a column becomes a value, or why it can't.

Values are integers and texts, so that they can be staged: a day is its ISO text, a time is ISO text
in UTC, and an amount is an integer of minor units.
"""

import datetime as dt
import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

from billing.entry import validation as check
from billing.entry.errors import EntryError
from billing.entry.superbills import MOST_DIAGNOSES
from billing.imports.faults import Complaint
from models import DocumentKind, PaymentMethodKind, Relation

Value = str | int
Parser = Callable[[str], Value]
YES, NO = ("yes", "true", "1"), ("no", "false", "0")
# A spreadsheet would run such a text as a formula when it is exported again.
FORMULA = ("=", "@")
AMOUNT = re.compile(r"(-?)(\d{1,15})(?:\.(\d+))?")
QUANTITY = re.compile(r"(\d{1,6})(?:\.(\d{1,2}))?")
ISO = "%Y-%m-%d"
ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# A line of a claim form has room for four modifiers.
MOST_MODIFIERS = 4
METHODS = [kind.value for kind in PaymentMethodKind if kind is not PaymentMethodKind.CREDIT]
ADJUSTMENTS = ["WRITE_OFF", "ADJUSTMENT"]
DOCUMENTS = [kind.value for kind in DocumentKind]
STRIPE_ID = re.compile("[A-Za-z0-9_]{1,200}")
RELATIONS = [relation.value for relation in Relation]


class Form(enum.Enum):
    """A form of values, with the words for its remedy."""

    ID = "write the other system's key, of at most 200 characters"
    TEXT = "write at most 200 characters in one line"
    NOTE = "write at most 5,000 characters"
    NUMBER = "write at most 50 characters in one line"
    EMAIL = "write one address, as name@example.com"
    DAY = "write a day as {day}"
    MOMENT = "write a time as 09:30, 2026-11-30T09:30 or 2026-11-30T09:30:00Z"
    PRICE = "write an amount as {amount}, of at least 0"
    AMOUNT = "write an amount as {amount}, above 0; leave out rows without an amount"
    BALANCE = "write an amount as {amount}; below zero for a credit"
    MINUTES = "write whole minutes, as 50"
    POSITION = "write the line's position, as 1"
    QUANTITY = "write a quantity as 1 or 1.5"
    FLAG = "write yes or no"
    CPT = "write a code as 90837"
    PLACE = "write the two digits of the place of service, as 11"
    MODIFIERS = "write modifiers as 95 GT, at most four"
    POINTER = "write the position of a diagnosis, from 1 to 12"
    POINTERS = "write positions of diagnoses as 1 2"
    DIAGNOSIS = "write a code of ICD-10-CM as F41.1"
    NPI = "copy the number of ten digits again"
    DOCUMENT = f"write one of {', '.join(DOCUMENTS)}"
    STRIPE = "write the id that Stripe shows, as cus_… or pm_…"
    COUNTRY = "write the country's code, as US"
    METHOD = f"write one of {', '.join(METHODS)}"
    ADJUSTMENT = f"write one of {', '.join(ADJUSTMENTS)}"
    RELATION = f"write one of {', '.join(RELATIONS)}"


# The forms whose few values are repeated in thousands of records, and the values kept of a column.
REPEATED = frozenset(Form) - {Form.ID, Form.TEXT, Form.NOTE, Form.NUMBER, Form.EMAIL, Form.STRIPE}
KEPT_VALUES = 2_000


@dataclass(frozen=True)
class Formats:
    """How values are written in a practice's files."""

    digits: int
    zone: ZoneInfo
    date_format: str = ISO
    time_format: str = ""
    currency_symbol: str = ""
    thousands: str = ""
    decimal: str = "."

    def parser(self, form: Form) -> Parser:
        """Return the function that turns a text of this form into a value.

        It raises a Complaint if the text is not of the form.
        """
        parse, remedy = self.parsers()[form], self.remedy(form)

        def parsed(text: str) -> Value:
            try:
                return parse(text)
            except EntryError as error:
                wrong = str(error).removeprefix("value ").removesuffix(".")
                raise Complaint(wrong, remedy) from None
            except Complaint:
                raise
            except ValueError as error:
                raise Complaint(str(error), remedy) from None

        # A faulty text is not kept: an exception is raised anew each time.
        return lru_cache(KEPT_VALUES)(parsed) if form in REPEATED else parsed

    def remedy(self, form: Form) -> str:
        decimals = f".{'5'.ljust(self.digits, '0')}" if self.digits else ""
        day = dt.date(2026, 11, 30).strftime(self.date_format)
        return form.value.format(day=day, amount=f"140{decimals}")

    def parsers(self) -> Mapping[Form, Parser]:
        return {
            Form.ID: identifier,
            Form.TEXT: text,
            Form.NOTE: note,
            Form.NUMBER: short_text(50),
            Form.EMAIL: email,
            Form.DAY: self.day,
            Form.MOMENT: self.moment,
            Form.PRICE: lambda written: self.money(written, 0),
            Form.AMOUNT: lambda written: self.money(written, 1),
            Form.BALANCE: lambda written: self.money(written, -check.LARGEST_AMOUNT),
            Form.MINUTES: whole(1, 24 * 60),
            Form.POSITION: whole(1, 1_000_000),
            Form.QUANTITY: quantity,
            Form.FLAG: flag,
            Form.CPT: of_form(check.CPT),
            Form.PLACE: of_form(check.PLACE),
            Form.MODIFIERS: list_of(of_form(check.MODIFIER), MOST_MODIFIERS),
            Form.POINTER: whole(1, MOST_DIAGNOSES),
            Form.POINTERS: list_of(whole(1, MOST_DIAGNOSES), MOST_DIAGNOSES),
            Form.DIAGNOSIS: of_form(check.DIAGNOSIS),
            Form.NPI: npi,
            Form.DOCUMENT: one_of(DOCUMENTS),
            Form.STRIPE: stripe_id,
            Form.COUNTRY: of_form(check.COUNTRY),
            Form.METHOD: one_of(METHODS),
            Form.ADJUSTMENT: one_of(ADJUSTMENTS),
            Form.RELATION: one_of(RELATIONS),
        }

    def day(self, written: str) -> str:
        try:
            if self.date_format == ISO and ISO_DAY.fullmatch(written):
                found = dt.date.fromisoformat(written)
            else:
                found = dt.datetime.strptime(written, self.date_format).date()  # noqa: DTZ007
        except ValueError:
            raise ValueError("is no day of this form") from None
        check.check_day("value", found)
        return found.isoformat()

    def moment(self, written: str) -> str:
        """Return a time in UTC, or the time of day alone."""
        try:
            if self.time_format:
                time = dt.datetime.strptime(written, self.time_format).time()  # noqa: DTZ007
                return time.isoformat("minutes")
            if re.fullmatch(r"\d\d:\d\d", written):
                return dt.time.fromisoformat(written).isoformat("minutes")
            found = dt.datetime.fromisoformat(written)
        except ValueError:
            raise ValueError("is no time") from None
        if found.tzinfo is None:
            found = found.replace(tzinfo=self.zone)
        check.check_moment("value", found)
        return found.astimezone(dt.UTC).isoformat()

    def plain_amount(self, written: str) -> str:
        """Return an amount without its currency and its separators of thousands."""
        for left_out in (self.currency_symbol, self.thousands):
            if left_out:
                written = written.replace(left_out, "")
        return written.replace(self.decimal, ".").strip()

    def amount(self, minor: int) -> str:
        """Return an amount as it is written in a file."""
        units, rest = divmod(abs(minor), 10**self.digits)
        decimals = f".{rest:0{self.digits}}" if self.digits else ""
        return f"{'-' if minor < 0 else ''}{units}{decimals}"

    def money(self, written: str, least: int) -> int:
        match = AMOUNT.fullmatch(self.plain_amount(written))
        if match is None:
            raise ValueError("is no amount")
        sign, units, fraction = match[1], match[2], match[3] or ""
        if len(fraction.rstrip("0")) > self.digits:
            raise ValueError(f"has more than {self.digits} decimals")
        minor = int(f"{sign}{units}{fraction[: self.digits].ljust(self.digits, '0')}")
        check.check_amount("value", minor, least=least)
        return minor


def identifier(written: str) -> str:
    check.check_text("value", written)
    return written


def text(written: str) -> str:
    refuse_formula(written)
    check.check_text("value", written)
    return written


def note(written: str) -> str:
    refuse_formula(written)
    lines = written.replace("\r\n", "\n").replace("\r", "\n")
    check.check_text("value", lines, check.LONG)
    return lines


def short_text(longest: int) -> Parser:
    def parse(written: str) -> str:
        refuse_formula(written)
        check.check_text("value", written, longest)
        return written

    return parse


def refuse_formula(written: str) -> None:
    if written.startswith(FORMULA):
        raise Complaint("begins as a formula", f"remove the {written[0]} at its beginning")


def email(written: str) -> str:
    check.check_email("value", written)
    return written


def npi(written: str) -> str:
    check.check_npi("value", written)
    return written


def stripe_id(written: str) -> str:
    if not STRIPE_ID.fullmatch(written):
        raise ValueError("is no id of Stripe")
    return written


def of_form(form: str) -> Parser:
    def parse(written: str) -> str:
        check.check_form("value", written, form)
        return written

    return parse


def list_of(parse: Parser, most: int) -> Parser:
    """Return the parser of several different values with blanks between them."""

    def parse_all(written: str) -> str:
        items = [str(parse(item)) for item in written.replace(",", " ").split()]
        if len(items) > most:
            raise ValueError(f"has more than {most} values")
        if len(set(items)) < len(items):
            raise ValueError("has a value twice")
        return " ".join(items)

    return parse_all


def one_of(names: list[str]) -> Parser:
    def parse(written: str) -> str:
        name = written.upper().replace(" ", "_")
        if name not in names:
            raise ValueError("is none of the known words")
        return name

    return parse


def whole(least: int, most: int) -> Parser:
    def parse(written: str) -> int:
        if not re.fullmatch(r"\d{1,9}", written):
            raise ValueError("is no whole number")
        check.check_whole("value", int(written), least, most)
        return int(written)

    return parse


def quantity(written: str) -> int:
    """Return a quantity in hundredths."""
    match = QUANTITY.fullmatch(written)
    if match is None:
        raise ValueError("is no quantity with at most two decimals")
    hundredths = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
    check.check_whole("value", hundredths, 1, 100_000)
    return hundredths


def flag(written: str) -> int:
    word = written.lower()
    if word not in YES + NO:
        raise ValueError("is neither yes nor no")
    return int(word in YES)
