"""Cards to be kept, and cards that Stripe has to detach."""

import datetime as dt

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.payment import DeclineReason
from models.row import Key, Reference, Row, StripeName, choice, refers
from models.states import SetupState, guard_states

IS_REFUSED = text("state = 'REFUSED'")
IS_WAITING = text("done_at IS NULL")


class CardSetup(Row):
    """A SetupIntent that was given to a client or a contact to keep a card with."""

    __tablename__ = "card_setup"
    __table_args__ = (
        refers("client", "client_id"),
        refers("contact", "contact_id"),
        refers("payment_method", "payment_method_id", client=True),
        UniqueConstraint("practice_id", "stripe_account", "stripe_id"),
        CheckConstraint(
            "(state = 'KEPT') = (payment_method_id IS NOT NULL)", name="kept_is_a_card"
        ),
        CheckConstraint("state <> 'REFUSED' OR reason IS NOT NULL", name="refused_has_a_reason"),
        CheckConstraint(
            "stripe_id IS NOT NULL OR state IN ('PREPARED', 'CANCELED', 'UNMADE')",
            name="ended_is_named",
        ),
        Index(None, "practice_id", "client_id", "changed_at"),
        # Counts the recent forms of a client and of an address.
        Index(None, "practice_id", "client_id", "created_at"),
        Index(None, "practice_id", "address_hash", "created_at"),
        # An event names a SetupIntent and its account, but no practice.
        Index("ix_card_setup_stripe_id", "stripe_id"),
        Index(
            "ix_card_setup_refused",
            "practice_id",
            "address_hash",
            "changed_at",
            postgresql_where=IS_REFUSED,
            sqlite_where=IS_REFUSED,
        ),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    client_id: Mapped[Reference]
    # The contact who opened the form; None if the client did.
    contact_id: Mapped[Reference | None]
    stripe_account: Mapped[StripeName]
    # None until Stripe has created it. The form counts even before.
    stripe_id: Mapped[StripeName | None]
    state: Mapped[SetupState] = mapped_column(choice(SetupState, "state"))
    reason: Mapped[DeclineReason | None] = mapped_column(choice(DeclineReason, "reason"))
    # The resulting card, and whether it was on file before.
    payment_method_id: Mapped[Reference | None]
    was_on_file: Mapped[bool | None]
    # The version of the shown text. Keeping the card means consent to it.
    consent_version: Mapped[str]
    # The keyed hash of the request's network address, by which declines are counted.
    address_hash: Mapped[str | None]
    created_at: Mapped[dt.datetime]
    changed_at: Mapped[dt.datetime]


guard_states(CardSetup.__table__)


class Detachment(Row):
    """A card that Stripe has to detach, or a customer that Stripe has to delete with all cards:
    recorded with the change that requires it, done afterwards.
    """

    __tablename__ = "detachment"
    __table_args__ = (
        refers("client", "client_id"),
        refers("contact", "contact_id"),
        UniqueConstraint("practice_id", "stripe_account", "stripe_id"),
        CheckConstraint("(client_id IS NULL) <> (contact_id IS NULL)", name="one_holder"),
        Index(
            "ix_detachment_waiting",
            "checked_at",
            postgresql_where=IS_WAITING,
            sqlite_where=IS_WAITING,
        ),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    # The holder: a client or a contact.
    client_id: Mapped[Reference | None]
    contact_id: Mapped[Reference | None]
    stripe_account: Mapped[StripeName]
    # The PaymentMethod, or the Customer.
    stripe_id: Mapped[StripeName]
    is_customer: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[dt.datetime]
    # The time of the last try.
    checked_at: Mapped[dt.datetime]
    # The end of the worker's lease, by the database's clock.
    leased_until: Mapped[dt.datetime | None]
    done_at: Mapped[dt.datetime | None]
    # The reason why Stripe refused the last try.
    trouble: Mapped[str | None]
