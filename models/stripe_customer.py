"""The customers at Stripe of clients and contacts: one of each in an account."""

import datetime as dt

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped

from models.row import Key, Reference, Row, StripeName, refers

IS_CURRENT = text("deleted_at IS NULL")


class StripeCustomer(Row):
    """A client's or a contact's customer in a Stripe account. A new one is created if Stripe has
    deleted it.
    """

    __tablename__ = "stripe_customer"
    __table_args__ = (
        refers("client", "client_id"),
        refers("contact", "contact_id"),
        CheckConstraint("(client_id IS NULL) <> (contact_id IS NULL)", name="one_holder"),
        UniqueConstraint("practice_id", "stripe_account", "stripe_id"),
        Index(
            "uq_stripe_customer_current",
            "practice_id",
            "client_id",
            "stripe_account",
            unique=True,
            postgresql_where=IS_CURRENT,
            sqlite_where=IS_CURRENT,
        ),
        Index(
            "uq_stripe_customer_contact",
            "practice_id",
            "contact_id",
            "stripe_account",
            unique=True,
            postgresql_where=IS_CURRENT,
            sqlite_where=IS_CURRENT,
        ),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    client_id: Mapped[Reference | None]
    contact_id: Mapped[Reference | None]
    stripe_account: Mapped[StripeName]
    stripe_id: Mapped[StripeName]
    created_at: Mapped[dt.datetime]
    # The time when it was found deleted at Stripe.
    deleted_at: Mapped[dt.datetime | None]
