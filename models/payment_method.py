"""Cards on file: the details that Stripe stores for a card's holder and that may be shown."""

import datetime as dt
import enum

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.row import Count, Key, Reference, Row, StripeName, choice, digits, refers


class CardBrand(enum.StrEnum):
    VISA = "VISA"
    MASTERCARD = "MASTERCARD"
    AMEX = "AMEX"
    DISCOVER = "DISCOVER"
    DINERS = "DINERS"
    JCB = "JCB"
    UNIONPAY = "UNIONPAY"
    OTHER = "OTHER"


KEPT = text("removed_at IS NULL")
KEPT_BY_CLIENT = text("removed_at IS NULL AND contact_id IS NULL")
DEFAULT = text("is_default AND removed_at IS NULL")
DEFAULT_OF_CLIENT = text("is_default AND removed_at IS NULL AND contact_id IS NULL")


class PaymentMethod(Row):
    """A card that its holder, the client or a contact, has saved for a client.

    A removed card stays as a row, since payments refer to it.
    """

    __tablename__ = "payment_method"
    __table_args__ = (
        refers("client", "client_id"),
        refers("contact", "contact_id"),
        UniqueConstraint("practice_id", "client_id", "id"),
        UniqueConstraint("practice_id", "stripe_account", "stripe_id"),
        # In an account a holder keeps the same card once for a client, and one card is the default.
        Index(
            "uq_payment_method_fingerprint",
            "practice_id",
            "client_id",
            "stripe_account",
            "fingerprint",
            unique=True,
            postgresql_where=KEPT_BY_CLIENT,
            sqlite_where=KEPT_BY_CLIENT,
        ),
        Index(
            "uq_payment_method_contact_fingerprint",
            "practice_id",
            "client_id",
            "contact_id",
            "stripe_account",
            "fingerprint",
            unique=True,
            postgresql_where=KEPT,
            sqlite_where=KEPT,
        ),
        Index(
            "uq_payment_method_default",
            "practice_id",
            "client_id",
            "stripe_account",
            unique=True,
            postgresql_where=DEFAULT_OF_CLIENT,
            sqlite_where=DEFAULT_OF_CLIENT,
        ),
        Index(
            "uq_payment_method_contact_default",
            "practice_id",
            "client_id",
            "contact_id",
            "stripe_account",
            unique=True,
            postgresql_where=DEFAULT,
            sqlite_where=DEFAULT,
        ),
        CheckConstraint("NOT is_default OR removed_at IS NULL", name="default_is_kept"),
        CheckConstraint("NOT is_shared OR removed_at IS NULL", name="shared_is_kept"),
        CheckConstraint("exp_month BETWEEN 1 AND 12", name="exp_month"),
        CheckConstraint("exp_year BETWEEN 2000 AND 2200", name="exp_year"),
        digits("last4", 4),
        Index(None, "practice_id", "client_id", "added_at", "id"),
        Index(None, "practice_id", "contact_id"),
        # An event names a PaymentMethod and its account, but no practice.
        Index("ix_payment_method_stripe_id", "stripe_id"),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    # The client that the card was saved for.
    client_id: Mapped[Reference]
    # The holder, if a contact has saved the card; None if the holder is the client.
    contact_id: Mapped[Reference | None]
    stripe_account: Mapped[StripeName]
    stripe_id: Mapped[StripeName]
    # None: Stripe gave none, and the card equals no other.
    fingerprint: Mapped[str | None]
    brand: Mapped[CardBrand] = mapped_column(choice(CardBrand, "brand"))
    last4: Mapped[str]
    exp_month: Mapped[Count]
    exp_year: Mapped[Count]
    cardholder_name: Mapped[str | None]
    billing_zip: Mapped[str | None]
    # Whether it is the holder's Default Card for the client.
    is_default: Mapped[bool]
    # Whether the holder lets others who may pay for the client use it.
    is_shared: Mapped[bool] = mapped_column(default=False)
    added_at: Mapped[dt.datetime]
    # The version of the consent text, and the time of consent.
    consent_version: Mapped[str]
    consented_at: Mapped[dt.datetime]
    removed_at: Mapped[dt.datetime | None]
    # The number of writes to this row. It shows if a response of Stripe is stale.
    revision: Mapped[Count] = mapped_column(default=0)
