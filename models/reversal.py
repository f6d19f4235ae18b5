"""Reversed money: refunds by the practice, and disputes at a cardholder's bank."""

import datetime as dt

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.row import Key, Minor, Reference, Row, StripeName, choice, refers
from models.states import DisputeState, RefundState, guard_states

IS_REQUESTED = text("state = 'REQUESTED'")
IS_OPEN = text("state = 'OPEN'")


class Refund(Row):
    """A part of a payment, or all of it, that is given back to the card."""

    __tablename__ = "refund"
    __table_args__ = (
        refers("client", "client_id"),
        refers("payment", "payment_id", client=True),
        refers("invoice", "invoice_id", client=True),
        UniqueConstraint("practice_id", "client_id", "id"),
        UniqueConstraint("practice_id", "stripe_account", "stripe_id"),
        # The operator's key: the same key means the same refund.
        UniqueConstraint("practice_id", "payment_id", "key"),
        # A refund without a result has to end before another begins.
        Index(
            "uq_refund_requested",
            "practice_id",
            "payment_id",
            unique=True,
            postgresql_where=IS_REQUESTED,
            sqlite_where=IS_REQUESTED,
        ),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("state = 'REQUESTED' OR stripe_id IS NOT NULL", name="known_has_an_id"),
        Index(None, "practice_id", "payment_id"),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    client_id: Mapped[Reference]
    payment_id: Mapped[Reference]
    amount_minor: Mapped[Minor]
    state: Mapped[RefundState] = mapped_column(choice(RefundState, "state"))
    # The operator's key, or the refund's id; None for a refund from Stripe's dashboard.
    key: Mapped[str | None]
    # The invoice that the operator chose to be due again; None: the usual order of taking back.
    invoice_id: Mapped[Reference | None]
    stripe_account: Mapped[StripeName]
    stripe_id: Mapped[StripeName | None]
    # The time of creation, by Stripe's clock.
    refunded_at: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime]
    changed_at: Mapped[dt.datetime]


class Dispute(Row):
    """A payment that the cardholder disputes at the bank. While it is open, the bank has
    the money.
    """

    __tablename__ = "dispute"
    __table_args__ = (
        refers("client", "client_id"),
        refers("payment", "payment_id", client=True),
        UniqueConstraint("practice_id", "client_id", "id"),
        UniqueConstraint("practice_id", "stripe_account", "stripe_id"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        Index(None, "practice_id", "payment_id"),
        Index(
            "ix_dispute_open",
            "practice_id",
            "client_id",
            postgresql_where=IS_OPEN,
            sqlite_where=IS_OPEN,
        ),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    client_id: Mapped[Reference]
    payment_id: Mapped[Reference]
    amount_minor: Mapped[Minor]
    state: Mapped[DisputeState] = mapped_column(choice(DisputeState, "state"))
    stripe_account: Mapped[StripeName]
    stripe_id: Mapped[StripeName]
    # The time at which the bank opened it, by Stripe's clock.
    disputed_at: Mapped[dt.datetime]
    created_at: Mapped[dt.datetime]
    changed_at: Mapped[dt.datetime]


for row in (Refund, Dispute):
    guard_states(row.__table__)
