"""Payments, what they claim while they are under way, what they paid, and their receipts."""

import datetime as dt
import enum

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.payment_method import CardBrand
from models.row import Key, Minor, Reference, Row, StripeName, choice, digits, refers


class PaymentState(enum.StrEnum):
    """Where a payment is in the protocol; the first two are one status to the API's reader."""

    CREATED = "CREATED"
    CONFIRMING = "CONFIRMING"
    REQUIRES_ACTION = "REQUIRES_ACTION"
    PROCESSING = "PROCESSING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


ACTIVE_STATES = (
    PaymentState.CREATED,
    PaymentState.CONFIRMING,
    PaymentState.REQUIRES_ACTION,
    PaymentState.PROCESSING,
)
IS_ACTIVE = text("state IN ('CREATED', 'CONFIRMING', 'REQUIRES_ACTION', 'PROCESSING')")
IS_DECLINED = text("state = 'FAILED' AND address_hash IS NOT NULL")


class PaymentMethodKind(enum.StrEnum):
    CARD = "CARD"
    CASH = "CASH"
    CHECK = "CHECK"
    BANK_TRANSFER = "BANK_TRANSFER"
    CREDIT = "CREDIT"
    OTHER = "OTHER"


class DeclineReason(enum.StrEnum):
    GENERIC = "GENERIC"
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    EXPIRED_CARD = "EXPIRED_CARD"
    INCORRECT_CVC = "INCORRECT_CVC"
    INCORRECT_ZIP = "INCORRECT_ZIP"
    AUTHENTICATION_FAILED = "AUTHENTICATION_FAILED"


class PaymentRefusal(enum.StrEnum):
    """Why Stripe would not begin a payment; nothing was charged."""

    AMOUNT_TOO_SMALL = "AMOUNT_TOO_SMALL"
    AMOUNT_TOO_LARGE = "AMOUNT_TOO_LARGE"
    PAYMENTS_UNAVAILABLE = "PAYMENTS_UNAVAILABLE"


class Payment(Row):
    """Money from a client, or the attempt at it. Its id exists before any money can move."""

    __tablename__ = "payment"
    __table_args__ = (
        refers("client", "client_id"),
        refers("invoice", "invoice_id", client=True),
        refers("payment_method", "payment_method_id", client=True),
        UniqueConstraint("practice_id", "client_id", "id"),
        UniqueConstraint("practice_id", "client_id", "idempotency_key"),
        UniqueConstraint("practice_id", "stripe_account", "stripe_id"),
        # One payment of a client is active at a time.
        Index(
            "uq_payment_active",
            "practice_id",
            "client_id",
            unique=True,
            postgresql_where=IS_ACTIVE,
            sqlite_where=IS_ACTIVE,
        ),
        CheckConstraint("amount_minor >= 0", name="amount_positive"),
        CheckConstraint("(state = 'SUCCEEDED') = (paid_at IS NOT NULL)", name="paid_has_a_time"),
        CheckConstraint(
            "state <> 'FAILED' OR failure_reason IS NOT NULL", name="failed_has_a_reason"
        ),
        CheckConstraint(
            "stripe_id IS NULL OR stripe_account IS NOT NULL", name="stripe_id_has_an_account"
        ),
        digits("card_last4", 4),
        Index(None, "practice_id", "client_id", "created_on", "id"),
        Index(None, "practice_id", "created_on", "id"),
        Index(None, "practice_id", "version"),
        Index(None, "practice_id", "state", "created_on", "id"),
        # An event names a PaymentIntent and its account, and no practice.
        Index("ix_payment_stripe_id", "stripe_id"),
        # What the reconciler looks for, over all practices.
        Index(
            "ix_payment_active", "checked_at", postgresql_where=IS_ACTIVE, sqlite_where=IS_ACTIVE
        ),
        Index(
            "ix_payment_declined",
            "practice_id",
            "address_hash",
            "changed_at",
            postgresql_where=IS_DECLINED,
            sqlite_where=IS_DECLINED,
        ),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    client_id: Mapped[Reference]
    # The one invoice that is paid; none: the whole balance.
    invoice_id: Mapped[Reference | None]
    method: Mapped[PaymentMethodKind] = mapped_column(choice(PaymentMethodKind, "method"))
    state: Mapped[PaymentState] = mapped_column(choice(PaymentState, "state"))
    amount_minor: Mapped[Minor]
    payment_method_id: Mapped[Reference | None]
    card_brand: Mapped[CardBrand | None] = mapped_column(choice(CardBrand, "card_brand"))
    card_last4: Mapped[str | None]
    failure_reason: Mapped[DeclineReason | None] = mapped_column(
        choice(DeclineReason, "failure_reason")
    )
    # A hash of the key: a page may make one of anything, even of a card's number.
    idempotency_key: Mapped[str | None]
    # The practice's account when the payment began: Stripe is asked there, whatever becomes of the
    # practice's.
    stripe_account: Mapped[StripeName | None]
    stripe_id: Mapped[StripeName | None]
    # Why Stripe would not begin it.
    refusal: Mapped[PaymentRefusal | None] = mapped_column(choice(PaymentRefusal, "refusal"))
    # When the card was charged, by Stripe's clock.
    charged_at: Mapped[dt.datetime | None]
    # The operator's reason for ending it without an answer of Stripe's.
    ended_because: Mapped[str | None]
    created_at: Mapped[dt.datetime]
    # The day in the practice's time zone.
    created_on: Mapped[dt.date]
    paid_at: Mapped[dt.datetime | None]
    # What the client asked for with a new card: to keep it, and as the default.
    save_card: Mapped[bool | None]
    make_default: Mapped[bool | None]
    # Which text was agreed to, if the card is to be kept; created_at says when.
    consent_version: Mapped[str | None]
    # Keyed hash of the network address that it was asked from: declines are counted by it.
    address_hash: Mapped[str | None]
    # When its state last changed, and when it was last compared with Stripe's.
    changed_at: Mapped[dt.datetime | None]
    checked_at: Mapped[dt.datetime | None]
    # Until when a worker has it, by the database's clock.
    leased_until: Mapped[dt.datetime | None]
    # The practice's version at its last change; none: it is as it was entered.
    version: Mapped[int | None]


class Allocation(Row):
    """Money put toward an invoice; below zero: taken back from it, by a refund or a void."""

    __tablename__ = "allocation"
    __table_args__ = (
        refers("client", "client_id"),
        refers("invoice", "invoice_id", client=True),
        refers("payment", "payment_id", client=True),
        refers("refund", "refund_id", client=True),
        CheckConstraint("is_credit OR payment_id IS NOT NULL", name="has_a_source"),
        CheckConstraint("amount_minor <> 0", name="amount_not_zero"),
        Index(None, "practice_id", "invoice_id"),
        Index(None, "practice_id", "payment_id"),
        Index(None, "practice_id", "client_id"),
        # What was put toward a therapist's invoices on some days.
        Index(None, "practice_id", "date"),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    client_id: Mapped[Reference]
    invoice_id: Mapped[Reference]
    # The payment that it was part of; none: the practice put credit toward the invoice.
    payment_id: Mapped[Reference | None]
    # Whether it came out of unused credit, not out of what the payment itself charged.
    is_credit: Mapped[bool]
    amount_minor: Mapped[Minor]
    date: Mapped[dt.date]
    created_at: Mapped[dt.datetime]
    # The refund that took it back, or gave it again when it failed.
    refund_id: Mapped[Reference | None]


class Claim(Row):
    """What an active payment holds until it is at rest: an invoice's due, or some credit."""

    __tablename__ = "claim"
    __table_args__ = (
        refers("payment", "payment_id", client=True),
        refers("invoice", "invoice_id", client=True),
        UniqueConstraint("practice_id", "invoice_id"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        Index(None, "practice_id", "payment_id"),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    client_id: Mapped[Reference]
    payment_id: Mapped[Reference]
    # None: the claim is on unused credit.
    invoice_id: Mapped[Reference | None]
    amount_minor: Mapped[Minor]


class Receipt(Row):
    """Made for every payment that succeeds; never edited or deleted."""

    __tablename__ = "receipt"
    __table_args__ = (
        refers("client", "client_id"),
        refers("payment", "payment_id", client=True),
        UniqueConstraint("practice_id", "payment_id"),
        UniqueConstraint("practice_id", "serial"),
        Index(None, "practice_id", "client_id", "issued_on", "serial"),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    client_id: Mapped[Reference]
    payment_id: Mapped[Reference]
    number: Mapped[str]
    serial: Mapped[int]
    amount_minor: Mapped[Minor]
    issued_at: Mapped[dt.datetime]
    issued_on: Mapped[dt.date]
