"""Lines of CSV for people, who open them in a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable

# Text that a spreadsheet would take for a formula, unless it is a number.
FORMULA = re.compile(r"[=+\-@\t\r]")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)


def csv_lines(rows: Iterable[Iterable[str]]) -> str:
    """Return lines in the format of RFC 4180."""
    out = io.StringIO()
    csv.writer(out).writerows([without_formula(cell) for cell in row] for row in rows)
    return out.getvalue()


def without_formula(cell: str) -> str:
    """Return a cell with a quote before text that a spreadsheet would take for a formula."""
    if FORMULA.match(cell) and not NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
