"""Statements: frozen snapshots of a period, with their lines."""

import datetime as dt

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.row import Count, Key, Minor, Reference, Row, refers


class Statement(Row):
    """The changes of a client's account in a period, as known on the day of issue."""

    __tablename__ = "statement"
    __table_args__ = (
        refers("client", "client_id"),
        refers("letterhead", "letterhead_id"),
        UniqueConstraint("practice_id", "serial"),
        CheckConstraint("period_start <= period_end", name="period_in_order"),
        CheckConstraint("ending_minor = beginning_minor + invoiced_minor - paid_minor", name="sum"),
        Index(None, "practice_id", "client_id", "issued_on", "serial"),
        Index(None, "practice_id", "issued_on", "serial"),
        Index(None, "practice_id", "version"),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    client_id: Mapped[Reference]
    letterhead_id: Mapped[Reference]
    client_name: Mapped[str]
    number: Mapped[str]
    serial: Mapped[int]
    issued_on: Mapped[dt.date]
    period_start: Mapped[dt.date]
    period_end: Mapped[dt.date]
    beginning_minor: Mapped[Minor]
    # Net of voids, write-offs and adjustments.
    invoiced_minor: Mapped[Minor]
    # Net of refunds.
    paid_minor: Mapped[Minor]
    ending_minor: Mapped[Minor]
    shared_at: Mapped[dt.datetime | None]
    # The practice's version at the last change; None if it was entered without one, as demo data.
    version: Mapped[int | None]


class StatementLine(Row):
    """One entry of the timeline."""

    __tablename__ = "statement_line"
    __table_args__ = (refers("statement", "statement_id"),)

    practice_id: Mapped[Key]
    statement_id: Mapped[Key]
    position: Mapped[Count] = mapped_column(primary_key=True)
    date: Mapped[dt.date]
    description: Mapped[str]
    invoice_number: Mapped[str | None]
    invoiced_minor: Mapped[Minor]
    paid_minor: Mapped[Minor]
    balance_after_minor: Mapped[Minor]
