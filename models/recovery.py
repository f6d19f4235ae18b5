"""The database's own identity, and its recoveries after a restore from a backup."""

import datetime as dt

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.row import Key, Minor, Row, StripeName, practice_reference

IS_OPEN = text("ended_at IS NULL")


class Installation(Row):
    """The identity of the database in which these rows are served: at most one row.

    In a restored copy the row still names the database that was backed up, and so differs from the
    copy's own identity.
    """

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    identity: Mapped[str] = mapped_column(Text)


class Recovery(Row):
    """A recovery of a practice after a restore. While it has not ended, no payment begins."""

    __tablename__ = "recovery"
    __table_args__ = (
        practice_reference(),
        Index(
            "uq_recovery_open",
            "practice_id",
            unique=True,
            postgresql_where=IS_OPEN,
            sqlite_where=IS_OPEN,
        ),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    # The identity in the restored rows, and that of the database that has them now.
    restored_from: Mapped[str]
    restored_to: Mapped[str]
    began_at: Mapped[dt.datetime]
    # The time at which the document numbers were moved on, once in a recovery.
    numbers_moved_at: Mapped[dt.datetime | None]
    ended_at: Mapped[dt.datetime | None]


class UnadoptedPayment(Row):
    """A PaymentIntent of the practice that a recovery could not adopt, and has reported.

    Its client is not in the database, or its payment has another PaymentIntent. It stays here until
    the payment is adopted for another client.
    """

    __tablename__ = "unadopted_payment"
    __table_args__ = (
        practice_reference(),
        UniqueConstraint("practice_id", "stripe_account", "stripe_id"),
        CheckConstraint("received_minor >= 0", name="received_positive"),
    )

    practice_id: Mapped[Key]
    # The payment's id in the metadata of the PaymentIntent.
    id: Mapped[Key]
    stripe_account: Mapped[StripeName]
    stripe_id: Mapped[StripeName]
    received_minor: Mapped[Minor]
    found_at: Mapped[dt.datetime]
