"""The ledger: each row changes the amount that a client owes. A balance is the sum of its rows."""

import datetime as dt
import enum

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.row import Key, Minor, Reference, Row, choice, refers


class EntryKind(enum.StrEnum):
    SESSION = "SESSION"
    CHARGE = "CHARGE"
    PAYMENT = "PAYMENT"
    REFUND = "REFUND"
    CREDIT = "CREDIT"
    ADJUSTMENT = "ADJUSTMENT"
    WRITE_OFF = "WRITE_OFF"


OF_DISPUTE = text("dispute_id IS NOT NULL")


class LedgerEntry(Row):
    """A ledger row; a positive amount means that the client owes more. Rows never change: errors
    are reversed.

    A row with an invoice changes the amount due of that invoice. A row without one is credit, which
    allocations put toward invoices. So a balance is always the amount due of the invoices less
    credit.
    """

    __tablename__ = "ledger_entry"
    __table_args__ = (
        refers("client", "client_id"),
        refers("invoice", "invoice_id", client=True),
        refers("session", "session_id", client=True),
        refers("payment", "payment_id", client=True),
        refers("dispute", "dispute_id", client=True),
        CheckConstraint(
            "kind NOT IN ('SESSION', 'CHARGE') OR invoice_id IS NOT NULL", name="charge_is_invoiced"
        ),
        CheckConstraint(
            "kind NOT IN ('PAYMENT', 'REFUND', 'CREDIT') OR invoice_id IS NULL",
            name="money_is_allocated",
        ),
        CheckConstraint(
            "kind NOT IN ('PAYMENT', 'REFUND') OR payment_id IS NOT NULL", name="money_is_a_payment"
        ),
        CheckConstraint("kind <> 'PAYMENT' OR amount_minor < 0", name="payment_lowers"),
        CheckConstraint(
            "dispute_id IS NULL OR kind = 'ADJUSTMENT'", name="dispute_is_an_adjustment"
        ),
        # The same fact is entered only once, even if it is reported repeatedly.
        Index(
            "uq_ledger_entry_of_invoice",
            "practice_id",
            "invoice_id",
            "kind",
            "reference",
            unique=True,
            postgresql_where=text("invoice_id IS NOT NULL"),
            sqlite_where=text("invoice_id IS NOT NULL"),
        ),
        Index(
            "uq_ledger_entry_of_client",
            "practice_id",
            "client_id",
            "kind",
            "reference",
            unique=True,
            postgresql_where=text("invoice_id IS NULL"),
            sqlite_where=text("invoice_id IS NULL"),
        ),
        Index(None, "practice_id", "client_id", "date", "id"),
        # The practice's flows of money by date.
        Index(None, "practice_id", "date"),
        Index(None, "practice_id", "payment_id"),
        Index(
            "ix_ledger_entry_dispute",
            "practice_id",
            "dispute_id",
            postgresql_where=OF_DISPUTE,
            sqlite_where=OF_DISPUTE,
        ),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    client_id: Mapped[Reference]
    date: Mapped[dt.date]
    kind: Mapped[EntryKind] = mapped_column(choice(EntryKind, "kind"))
    description: Mapped[str]
    amount_minor: Mapped[Minor]
    invoice_id: Mapped[Reference | None]
    session_id: Mapped[Reference | None]
    payment_id: Mapped[Reference | None]
    # The origin of the row, by its kind: a line's position, "void 1", or a payment's id.
    reference: Mapped[str]
    created_at: Mapped[dt.datetime]
    # The dispute that caused an adjustment.
    dispute_id: Mapped[Reference | None]
