"""Statements: the changes of a client's account in a period, by the days on which the ledger's rows
were posted.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar, NamedTuple

from billing.entry import validation as check
from billing.entry.client_ledger import ClientLedger
from billing.entry.rows import Draft, Values
from models import EntryKind, Statement, StatementLine

LINES = (EntryKind.SESSION, EntryKind.CHARGE)


@dataclass(frozen=True)
class StatementPeriod:
    """The period of a statement to issue, which has ended. The number is the next one and the day
    is today, unless another system has issued the statement.
    """

    kind: ClassVar[str] = "statement"

    first: dt.date
    last: dt.date
    is_shared: bool = True
    number: str | None = None
    issued_on: dt.date | None = None

    def __post_init__(self) -> None:
        check.check_period(self.first, self.last)
        check.check_optional_text("number", self.number, 50)
        check.check_optional_day("issued_on", self.issued_on)


class Movement(NamedTuple):
    """A line of a statement: one act of the account, as an invoice or a payment."""

    date: dt.date
    description: str
    invoice_number: str | None
    invoiced_minor: int
    paid_minor: int


def issue_statement(draft: Draft, ledger: ClientLedger, period: StatementPeriod) -> str:
    """Issue a statement. It ends with the balance as of its last day."""
    issued_on = period.issued_on or draft.today
    if issued_on > draft.today:
        raise check.invalid("issued_on", "is in the future")
    if period.last >= issued_on:
        raise check.invalid("period_end", "is not over")
    beginning = balance_before(ledger, period.first)
    moved = list(movements(ledger, period.first, period.last))
    invoiced = sum(one.invoiced_minor for one in moved)
    paid = sum(one.paid_minor for one in moved)
    statement = draft.insert(
        Statement,
        letterhead_id=ledger.practice.letterhead(),
        client_name=ledger.client["name"],
        number=period.number,
        issued_on=issued_on,
        period_start=period.first,
        period_end=period.last,
        beginning_minor=beginning,
        invoiced_minor=invoiced,
        paid_minor=paid,
        ending_minor=balance_before(ledger, period.last + dt.timedelta(1)),
        shared_at=draft.now if period.is_shared else None,
    )
    balance = beginning
    for position, one in enumerate(moved, 1):
        balance += one.invoiced_minor - one.paid_minor
        draft.insert(
            StatementLine,
            statement_id=statement["id"],
            position=position,
            balance_after_minor=balance,
            **one._asdict(),
        )
    return str(statement["id"])


def is_worth_a_statement(ledger: ClientLedger, first: dt.date, last: dt.date) -> bool:
    """Return whether something happened in a period, or a balance was open before it."""
    return bool(balance_before(ledger, first)) or any(movements(ledger, first, last))


def balance_before(ledger: ClientLedger, day: dt.date) -> int:
    """Return the sum of the rows that were posted before a day."""
    return sum(row["amount_minor"] for row in ledger.entries if row["posted_on"] < day)


def movements(ledger: ClientLedger, first: dt.date, last: dt.date) -> Iterator[Movement]:
    """Yield the movements of a period in the order of entry.

    The lines of an invoice are one movement, and so are the reversals of a void.
    """
    posted = [row for row in ledger.entries if first <= row["posted_on"] <= last]
    posted.sort(key=lambda row: row["posted_on"])
    for key, rows in groupby(posted, key=lambda row: act_of(row)):
        yield movement(ledger, key, list(rows))


def act_of(row: Values) -> tuple[dt.date, str | None, str]:
    """Return the act that a ledger row is part of: its day, its invoice, and the kind of act."""
    for act in ("line", "void"):
        if row["invoice_id"] is not None and row["reference"].startswith(f"{act} "):
            return row["posted_on"], row["invoice_id"], act
    return row["posted_on"], row["invoice_id"], row["id"]


def movement(
    ledger: ClientLedger, act: tuple[dt.date, str | None, str], rows: list[Values]
) -> Movement:
    day, invoice_id, kind = act
    minor = sum(row["amount_minor"] for row in rows)
    number = ledger.invoices[invoice_id].number if invoice_id else None
    descriptions = {"line": f"Invoice {number}", "void": f"Void invoice {number}"}
    said = descriptions.get(kind) or str(rows[0]["description"])
    invoiced, paid = (minor, 0) if invoice_id else (0, -minor)
    return Movement(day, said, number, invoiced, paid)
