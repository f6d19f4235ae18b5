"""The practice, its clinicians, and the letterheads of its documents."""

import datetime as dt

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from models.address import Addressed, address_is_whole
from models.checks import address_check, one_of_check
from models.currencies import CURRENCIES
from models.row import (
    Count,
    Encrypted,
    Key,
    Reference,
    Row,
    StripeName,
    digits,
    practice_reference,
    refers,
)


class Practice(Addressed, Row):
    """A practice. Its currency and time zone apply to all its rows and don't change."""

    __tablename__ = "practice"
    __table_args__ = (
        address_is_whole(),
        one_of_check("currency", CURRENCIES),
        *address_check("email"),
        CheckConstraint("days_until_due >= 0", name="days_until_due_positive"),
    )

    id: Mapped[Key]
    name: Mapped[str]
    time_zone: Mapped[str]
    currency: Mapped[str] = mapped_column(String(3))
    locale: Mapped[str]
    phone: Mapped[str | None]
    email: Mapped[str | None]
    portal_url: Mapped[str | None]
    # The account for its payments; None if Online Payments are off.
    stripe_account: Mapped[StripeName | None] = mapped_column(unique=True)
    clients_remove_cards: Mapped[bool]
    # The days until an invoice is due, if it is issued without a due date; None: it has none.
    days_until_due: Mapped[Count | None]
    # The time of the last comparison of its payments with Stripe.
    compared_at: Mapped[dt.datetime | None]
    # The earliest time of the next comparison.
    compare_after: Mapped[dt.datetime | None]
    # The end of the comparing worker's lease, by the database's clock.
    leased_until: Mapped[dt.datetime | None]


class Clinician(Row):
    """A therapist of the practice."""

    __tablename__ = "clinician"
    __table_args__ = (practice_reference(), digits("npi", 10))

    practice_id: Mapped[Key]
    id: Mapped[Key]
    name: Mapped[str]
    credentials: Mapped[str | None]
    npi: Mapped[str | None]
    licence_number: Mapped[str | None]


class Letterhead(Addressed, Row):
    """The sender of a document, frozen when it was issued; never changed.

    The latest letterhead of the practice, or of a clinician, is on the documents to come.
    """

    __tablename__ = "letterhead"
    __table_args__ = (
        practice_reference(),
        refers("clinician", "clinician_id"),
        address_is_whole(),
        digits("npi", 10),
        digits("tax_id_last4", 4),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    # The clinician that sends superbills; None for the practice itself.
    clinician_id: Mapped[Reference | None]
    name: Mapped[str]
    credentials: Mapped[str | None]
    npi: Mapped[str | None]
    licence_number: Mapped[str | None]
    tax_id_encrypted: Mapped[Encrypted | None]
    tax_id_last4: Mapped[str | None]
    phone: Mapped[str | None]
