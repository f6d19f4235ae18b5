"""The inbox of Stripe's webhook: events are stored before they are handled."""

import datetime as dt

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.row import Row

WAITING = text("handled_at IS NULL")


class StripeEvent(Row):
    """An event, by its id at Stripe: stored once, even if it is sent repeatedly.

    Its id is unique over all practices. The practice follows from the account when it is handled.
    """

    __tablename__ = "stripe_event"
    __table_args__ = (
        Index(
            "ix_stripe_event_waiting", "received_at", postgresql_where=WAITING, sqlite_where=WAITING
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    # The connected account, or None for the key's own.
    account: Mapped[str | None]
    type: Mapped[str]
    # The PaymentIntent, SetupIntent or PaymentMethod that it is about, and the practice in the
    # metadata, if any.
    object_id: Mapped[str | None]
    practice_id: Mapped[str | None]
    received_at: Mapped[dt.datetime]
    # The end of the worker's lease, by the database's clock.
    leased_until: Mapped[dt.datetime | None]
    handled_at: Mapped[dt.datetime | None]
    # The reason if the event was refused.
    refusal: Mapped[str | None]
