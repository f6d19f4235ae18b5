"""The ledger: one row a movement of what a client owes. A balance is the sum of its rows."""

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
    """A movement; above zero the client owes more. Never changed: what was wrong is reversed.

    A row that names an invoice changes what is due of it; one that names none is credit, which
    allocations put toward invoices. So a balance is always the invoices' due less the credit.
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
        # The same thing is entered once, however often it is heard of.
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
        # The practice's money of some days.
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
    # What the row is of, in its own kind's terms: a line's position, "void 1", a payment's id.
    reference: Mapped[str]
    created_at: Mapped[dt.datetime]
    # An adjustment's, where a dispute is what made it.
    dispute_id: Mapped[Reference | None]
