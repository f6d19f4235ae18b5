"""Invoices and their lines. Paid and due amounts are derived (billing/ledger/invoices.py), never
stored.
"""

import datetime as dt

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.row import Count, Key, Minor, Reference, Row, refers

# By the day that it is due: one without a day comes last. Under row-level security PostgreSQL
# doesn't look coalesce() up in an index. Written as PostgreSQL gives it back, to be compared.
DUE_OR_NEVER = """(
CASE
    WHEN due_on IS NULL THEN '9999-12-31'
    ELSE due_on
END)"""


class Invoice(Row):
    """A bill, frozen when it was issued; afterwards it can only be voided."""

    __tablename__ = "invoice"
    __table_args__ = (
        refers("client", "client_id"),
        refers("clinician", "clinician_id"),
        refers("letterhead", "letterhead_id"),
        UniqueConstraint("practice_id", "serial"),
        # The targets of foreign keys with the client, and of lines' foreign keys with is_void.
        UniqueConstraint("practice_id", "client_id", "id"),
        UniqueConstraint("practice_id", "id", "is_void"),
        CheckConstraint("is_void = (voided_on IS NOT NULL)", name="void_has_a_day"),
        Index(None, "practice_id", "client_id", "issued_on", "serial"),
        Index(None, "practice_id", "issued_on", "serial"),
        Index(None, "practice_id", "version"),
        Index(None, "practice_id", "clinician_id", "issued_on", "serial"),
        # By due date; an invoice without one comes last.
        Index("ix_invoice_due", "practice_id", text(DUE_OR_NEVER), "serial"),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    client_id: Mapped[Reference]
    clinician_id: Mapped[Reference | None]
    letterhead_id: Mapped[Reference]
    client_name: Mapped[str]
    # The number as printed, INV-2026-0042, and its serial within the practice.
    number: Mapped[str]
    serial: Mapped[int]
    issued_on: Mapped[dt.date]
    due_on: Mapped[dt.date | None]
    # The sum of the lines, as printed.
    total_minor: Mapped[Minor]
    notes: Mapped[str | None]
    is_void: Mapped[bool]
    voided_on: Mapped[dt.date | None]
    shared_at: Mapped[dt.datetime | None]
    # The practice's version at the last change; None if it was entered without one, as demo data.
    version: Mapped[int | None]


class InvoiceLine(Row):
    """A line of an invoice. `is_void` follows the invoice, by the foreign key's cascade."""

    __tablename__ = "invoice_line"
    __table_args__ = (
        ForeignKeyConstraint(
            ["practice_id", "invoice_id", "is_void"],
            ["invoice.practice_id", "invoice.id", "invoice.is_void"],
            ondelete="RESTRICT",
            onupdate="CASCADE",
        ),
        refers("session", "session_id"),
        # A session is on one invoice at a time.
        Index(
            "uq_invoice_line_session",
            "practice_id",
            "session_id",
            unique=True,
            postgresql_where=text("NOT is_void"),
            # As SQLAlchemy writes the condition, since SQLite compares its text.
            sqlite_where=text("is_void = 0"),
        ),
        CheckConstraint("quantity_hundredths > 0", name="quantity_positive"),
    )

    practice_id: Mapped[Key]
    invoice_id: Mapped[Key]
    position: Mapped[Count] = mapped_column(primary_key=True)
    session_id: Mapped[Reference | None]
    date: Mapped[dt.date | None]
    description: Mapped[str]
    service_code: Mapped[str | None]
    quantity_hundredths: Mapped[int]
    unit_price_minor: Mapped[Minor]
    amount_minor: Mapped[Minor]
    is_void: Mapped[bool]
