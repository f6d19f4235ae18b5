"""Clients, and the contacts (parents, guardians, partners) who may look after their bills."""

import datetime as dt
import enum
from typing import Annotated

from sqlalchemy import CheckConstraint, Computed, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.address import Addressed, address_is_whole
from models.checks import one_address
from models.names import folded, folded_email
from models.row import ByCode, Count, Key, Reference, Row, choice, of_practice, refers

# The address as it is compared. The database computes it, so that whoever writes rows has nothing
# to keep up to date. An index over the expression would not be used under row-level security.
Mailbox = Annotated[
    str, mapped_column(ByCode, Computed(folded_email(text("email")), persisted=True))
]


class Client(Addressed, Row):
    """Somebody in therapy, whose bills these are."""

    __tablename__ = "client"
    __table_args__ = (
        of_practice(),
        refers("clinician", "clinician_id"),
        address_is_whole(),
        *one_address("email"),
        Index(None, "practice_id", "clinician_id"),
        Index(None, "practice_id", "folded_name", "id"),
        Index(None, "practice_id", "created_at", "id"),
        # One of the few look-ups in all practices: whoever signs in says an address, and no more.
        Index(None, "mailbox"),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    name: Mapped[str]
    # The name with case and accents folded: what clients are ordered by.
    folded_name: Mapped[str] = mapped_column(
        ByCode, default=lambda context: folded(context.get_current_parameters()["name"])
    )
    email: Mapped[str | None]
    mailbox: Mapped[Mailbox | None]
    phone: Mapped[str | None]
    date_of_birth: Mapped[dt.date | None]
    clinician_id: Mapped[Reference | None]
    created_at: Mapped[dt.datetime]


class ClientNamePart(Row):
    """A client's folded name from one of its words on: what a search is the beginning of."""

    __tablename__ = "client_name_part"
    __table_args__ = (
        refers("client", "client_id"),
        Index(None, "practice_id", "text"),
    )

    practice_id: Mapped[Key]
    client_id: Mapped[Key]
    position: Mapped[Count] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(ByCode)


class Contact(Row):
    """Somebody who may see or pay the bills of clients that they are linked to."""

    __tablename__ = "contact"
    __table_args__ = (
        of_practice(),
        *one_address("email"),
        # As a client's.
        Index(None, "mailbox"),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    name: Mapped[str]
    email: Mapped[str | None]
    mailbox: Mapped[Mailbox | None]


class Relation(enum.StrEnum):
    PARENT = "PARENT"
    GUARDIAN = "GUARDIAN"
    PARTNER = "PARTNER"


class ContactRight(Row):
    """What a contact may do for one client. A link without a right would mean nothing."""

    __tablename__ = "contact_right"
    __table_args__ = (
        refers("contact", "contact_id"),
        refers("client", "client_id"),
        CheckConstraint("sees_documents OR can_pay", name="some_right"),
        Index(None, "practice_id", "client_id"),
    )

    practice_id: Mapped[Key]
    contact_id: Mapped[Key]
    client_id: Mapped[Key]
    relation: Mapped[Relation] = mapped_column(choice(Relation, "relation"))
    sees_documents: Mapped[bool]
    can_pay: Mapped[bool]
