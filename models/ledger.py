"""The ledger: each row changes the amount that a client owes. A balance is the sum of its rows.

The rows are of two families. Charges name an invoice, and their sum is the amount that it bills.
Funds name none: they are money and credit, which allocations put toward invoices.
"""

import datetime as dt
import enum

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.append_only import APPEND_ONLY
from models.row import Key, Minor, Reference, Row, choice, refers


class EntryKind(enum.StrEnum):
    SESSION = "SESSION"
    CHARGE = "CHARGE"
    PAYMENT = "PAYMENT"
    REFUND = "REFUND"
    CREDIT = "CREDIT"
    ADJUSTMENT = "ADJUSTMENT"
    WRITE_OFF = "WRITE_OFF"
    DISPUTE = "DISPUTE"


class LedgerEntry(Row):
    """A ledger row; a positive amount means that the client owes more. Rows never change: errors
    are reversed.

    A charge changes the amount due of its invoice. A fund changes the unallocated funds, which
    allocations put toward invoices. So a balance is always the amount due of the invoices less
    the unallocated funds.
    """

    __tablename__ = "ledger_entry"
    __table_args__ = (
        refers("client", "client_id"),
        refers("invoice", "invoice_id", client=True),
        refers("session", "session_id", client=True),
        refers("payment", "payment_id", client=True),
        refers("dispute", "dispute_id", client=True),
        CheckConstraint(
            "(kind IN ('SESSION', 'CHARGE', 'WRITE_OFF', 'ADJUSTMENT')) = (invoice_id IS NOT NULL)",
            name="charges_name_an_invoice",
        ),
        CheckConstraint(
            "kind NOT IN ('PAYMENT', 'REFUND', 'DISPUTE') OR payment_id IS NOT NULL",
            name="money_is_a_payment",
        ),
        CheckConstraint("kind <> 'PAYMENT' OR amount_minor < 0", name="payment_lowers"),
        CheckConstraint("(kind = 'DISPUTE') = (dispute_id IS NOT NULL)", name="dispute_is_named"),
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
        Index(None, "practice_id", "client_id", "posted_on", "id"),
        # The practice's ledger, the entry posted last first.
        Index(None, "practice_id", "posted_on", "id"),
        # The practice's flows of money by date.
        Index(None, "practice_id", "date"),
        Index(None, "practice_id", "payment_id"),
        APPEND_ONLY,
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    client_id: Mapped[Reference]
    # The day of service, or the day on which the money moved.
    date: Mapped[dt.date]
    # The day on which the row entered the books.
    posted_on: Mapped[dt.date]
    kind: Mapped[EntryKind] = mapped_column(choice(EntryKind, "kind"))
    description: Mapped[str]
    amount_minor: Mapped[Minor]
    invoice_id: Mapped[Reference | None]
    session_id: Mapped[Reference | None]
    payment_id: Mapped[Reference | None]
    # The origin of the row, by its kind: a line's position, "void 1", or a payment's id.
    reference: Mapped[str]
    created_at: Mapped[dt.datetime]
    # The dispute that took the money, or returned it.
    dispute_id: Mapped[Reference | None]
