"""Lines of an invoice from options, and an invoice from a TOML file."""

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from server.cli.toml_files import WrongFile, read_tables, unknown_key, wrong_type
from server.command_errors import CommandError

Values = dict[str, Any]
TEXT, DAY, FLAG = "a text in quotes", "a day as 2026-11-30", "true or false"
NUMBER = "a number as 12.50"
TYPES: Mapping[str, tuple[type, ...]] = {
    TEXT: (str,),
    DAY: (dt.date,),
    FLAG: (bool,),
    NUMBER: (str, int, Decimal),
}
FACTS = {
    "issued_on": DAY,
    "due_on": DAY,
    "clinician": TEXT,
    "notes": TEXT,
    "number": TEXT,
    "shared": FLAG,
}
LINE = {
    "session": TEXT,
    "description": TEXT,
    "unit_price": NUMBER,
    "quantity": NUMBER,
    "date": DAY,
    "service_code": TEXT,
}


class WrongLine(CommandError):
    """An option that is not a line. Nothing was issued."""


def read_invoice(file: Path) -> Values:
    """Return the facts of an invoice from a file, with its `lines`."""
    tables = read_tables(file)
    lines = tables.pop("lines", [])
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        raise WrongFile(f"{file}: lines are written as [[lines]], one for each line.")
    facts = checked(file, tables, FACTS, "")
    numbered = enumerate(lines, 1)
    return facts | {"lines": [checked(file, line, LINE, f"line {at}: ") for at, line in numbered]}


def checked(file: Path, values: Values, wanted: Mapping[str, str], place: str) -> Values:
    """Return the values. Raise WrongFile for an unknown key, and for a value of another type."""
    for key, value in values.items():
        if key not in wanted:
            raise unknown_key(file, key, wanted)
        if type(value) not in TYPES[wanted[key]]:
            raise wrong_type(file, place + key, wanted[key])
    return values


def lines_of(lines: Iterable[str], sessions: Iterable[str]) -> list[Values]:
    """Return the lines of options: sessions, and descriptions with a price."""
    return [*({"session": session} for session in sessions), *map(priced_line, lines)]


def priced_line(line: str) -> Values:
    description, equals, price = line.rpartition("=")
    if not equals:
        raise WrongLine(f'{line} is not a line as "Report for school=120.00".')
    return {"description": description.strip(), "unit_price": price.strip()}
