"""The inbox of Stripe's webhook: events are written down before they are looked into."""

import datetime as dt

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.row import Row

WAITING = text("handled_at IS NULL")


class StripeEvent(Row):
    """An event by its id at Stripe: heard of once, however often it is sent.

    It is found in all practices by that id; whose it is, the account says when it is handled.
    """

    __tablename__ = "stripe_event"
    __table_args__ = (
        Index(
            "ix_stripe_event_waiting", "received_at", postgresql_where=WAITING, sqlite_where=WAITING
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    # The connected account; none: the key's own.
    account: Mapped[str | None]
    type: Mapped[str]
    # The PaymentIntent, SetupIntent or PaymentMethod that it is about, and the practice that its
    # metadata names, if it does.
    object_id: Mapped[str | None]
    practice_id: Mapped[str | None]
    received_at: Mapped[dt.datetime]
    # Until when a worker has it, by the database's clock.
    leased_until: Mapped[dt.datetime | None]
    handled_at: Mapped[dt.datetime | None]
    # Why it was not followed, where it was refused.
    refusal: Mapped[str | None]
