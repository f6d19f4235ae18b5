"""Payments, their claims while they are active, their allocations, and their receipts."""

import datetime as dt
import enum

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.append_only import APPEND_ONLY
from models.payment_method import CardBrand
from models.row import Key, Minor, Reference, Row, StripeName, choice, digits, refers
from models.states import ACTIVE_STATES, PaymentState, guard_states

IS_ACTIVE = text("state IN (" + ", ".join(f"'{state}'" for state in ACTIVE_STATES) + ")")
OF_DISPUTE = text("dispute_id IS NOT NULL")
IS_DECLINED = text("state = 'FAILED' AND address_hash IS NOT NULL")


class PaymentMethodKind(enum.StrEnum):
    CARD = "CARD"
    CASH = "CASH"
    CHECK = "CHECK"
    BANK_TRANSFER = "BANK_TRANSFER"
    INSURANCE = "INSURANCE"
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
    """Why Stripe refused to start a payment. Nothing was charged."""

    AMOUNT_TOO_SMALL = "AMOUNT_TOO_SMALL"
    AMOUNT_TOO_LARGE = "AMOUNT_TOO_LARGE"
    PAYMENTS_UNAVAILABLE = "PAYMENTS_UNAVAILABLE"


class Payment(Row):
    """Money from a client, or the attempt at a payment. Its id exists before any money can move."""

    __tablename__ = "payment"
    __table_args__ = (
        refers("client", "client_id"),
        refers("contact", "contact_id"),
        refers("invoice", "invoice_id", client=True),
        # A contact's card may have been saved for another client whom the contact pays for.
        refers("payment_method", "payment_method_id"),
        UniqueConstraint("practice_id", "client_id", "id"),
        UniqueConstraint("practice_id", "client_id", "idempotency_key"),
        UniqueConstraint("practice_id", "stripe_account", "stripe_id"),
        # A client has at most one active payment.
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
        # An event names a PaymentIntent and its account, but no practice.
        Index("ix_payment_stripe_id", "stripe_id"),
        # For the reconciler, over all practices.
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
    # The payer, if a contact pays; None if the client does, or if the practice recorded it.
    contact_id: Mapped[Reference | None]
    # The one invoice to pay, or None for the whole balance.
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
    # A hash of the key, since a page may build a key from anything, even a card's number.
    idempotency_key: Mapped[str | None]
    # The practice's account when the payment began. Stripe is asked in this account, even if the
    # practice gets another one.
    stripe_account: Mapped[StripeName | None]
    stripe_id: Mapped[StripeName | None]
    # The reason why Stripe refused to start it.
    refusal: Mapped[PaymentRefusal | None] = mapped_column(choice(PaymentRefusal, "refusal"))
    # The part of the charge that Stripe keeps; None as long as Stripe has not told it.
    processor_fee_minor: Mapped[Minor | None]
    # The time of the charge, by Stripe's clock.
    charged_at: Mapped[dt.datetime | None]
    # The operator's reason for ending it without an answer from Stripe.
    ended_because: Mapped[str | None]
    created_at: Mapped[dt.datetime]
    # The date in the practice's time zone.
    created_on: Mapped[dt.date]
    paid_at: Mapped[dt.datetime | None]
    # The client's choices for a new card: keep it, and make it the default.
    save_card: Mapped[bool | None]
    make_default: Mapped[bool | None]
    # The version of the consent text, if the card is to be kept. The time is created_at.
    consent_version: Mapped[str | None]
    # The keyed hash of the request's network address, by which declines are counted.
    address_hash: Mapped[str | None]
    # The times of the last change of state, and of the last comparison with Stripe.
    changed_at: Mapped[dt.datetime | None]
    checked_at: Mapped[dt.datetime | None]
    # The end of the worker's lease, by the database's clock.
    leased_until: Mapped[dt.datetime | None]
    # The practice's version at the last change; None if it was entered without one, as demo data.
    version: Mapped[int | None]


guard_states(Payment.__table__)


class Allocation(Row):
    """Funds put toward an invoice. A negative amount is taken back: by a refund, a dispute or a
    void.
    """

    __tablename__ = "allocation"
    __table_args__ = (
        refers("client", "client_id"),
        refers("invoice", "invoice_id", client=True),
        refers("payment", "payment_id", client=True),
        refers("refund", "refund_id", client=True),
        refers("dispute", "dispute_id", client=True),
        CheckConstraint("is_credit OR payment_id IS NOT NULL", name="has_a_source"),
        CheckConstraint("amount_minor <> 0", name="amount_not_zero"),
        CheckConstraint("refund_id IS NULL OR dispute_id IS NULL", name="one_reversal"),
        Index(None, "practice_id", "invoice_id"),
        Index(None, "practice_id", "payment_id"),
        Index(None, "practice_id", "client_id"),
        # For allocations to a therapist's invoices by date.
        Index(None, "practice_id", "date"),
        # The invoices that a dispute has made due again.
        Index(
            "ix_allocation_dispute",
            "practice_id",
            "dispute_id",
            postgresql_where=OF_DISPUTE,
            sqlite_where=OF_DISPUTE,
        ),
        APPEND_ONLY,
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    client_id: Mapped[Reference]
    invoice_id: Mapped[Reference]
    # The payment that it was part of; None if the practice allocated credit.
    payment_id: Mapped[Reference | None]
    # Whether it came from unused credit, and not from the payment's own charge.
    is_credit: Mapped[bool]
    amount_minor: Mapped[Minor]
    date: Mapped[dt.date]
    created_at: Mapped[dt.datetime]
    # The refund that took it back, or returned it after failing.
    refund_id: Mapped[Reference | None]
    # The dispute that took it back, or returned it after being won.
    dispute_id: Mapped[Reference | None]


class Claim(Row):
    """A claim of an active payment until it ends: on an invoice's amount due, or on credit."""

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
    """The receipt of a successful payment; never edited or deleted."""

    __tablename__ = "receipt"
    __table_args__ = (
        refers("client", "client_id"),
        refers("contact", "contact_id"),
        refers("payment", "payment_id", client=True),
        UniqueConstraint("practice_id", "payment_id"),
        UniqueConstraint("practice_id", "serial"),
        Index(None, "practice_id", "client_id", "issued_on", "serial"),
        Index(None, "practice_id", "issued_on", "serial"),
        APPEND_ONLY,
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    client_id: Mapped[Reference]
    # The payer, as in the payment.
    contact_id: Mapped[Reference | None]
    payment_id: Mapped[Reference]
    number: Mapped[str]
    serial: Mapped[int]
    amount_minor: Mapped[Minor]
    issued_at: Mapped[dt.datetime]
    # The day on which the money moved, in the practice's time zone.
    issued_on: Mapped[dt.date]
