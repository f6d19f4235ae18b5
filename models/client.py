"""Clients, and contacts (parents, guardians, partners) with rights to their bills."""

import datetime as dt
import enum
from typing import Annotated

from sqlalchemy import CheckConstraint, Computed, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.address import Addressed, address_is_whole
from models.checks import address_check
from models.names import fold_name, folded_email
from models.row import ByCode, Count, Key, Reference, Row, choice, practice_reference, refers

# The address as it is compared. The database computes it, so that whoever writes rows has nothing
# to keep up to date. An index over the expression would not be used under row-level security.
Mailbox = Annotated[
    str, mapped_column(ByCode, Computed(folded_email(text("email")), persisted=True))
]


class Client(Addressed, Row):
    """A person in therapy, who is billed by the practice."""

    __tablename__ = "client"
    __table_args__ = (
        practice_reference(),
        refers("clinician", "clinician_id"),
        refers("client", "merged_into"),
        CheckConstraint("merged_into <> id", name="merged_into_another"),
        CheckConstraint(
            "merged_into IS NULL OR archived_on IS NOT NULL", name="merged_is_archived"
        ),
        address_is_whole(),
        *address_check("email"),
        Index(None, "practice_id", "clinician_id"),
        Index(None, "practice_id", "folded_name", "id"),
        Index(None, "practice_id", "created_at", "id"),
        Index(None, "practice_id", "version"),
        # One of the few queries over all practices: a person who signs in gives only an address.
        Index(None, "mailbox"),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    name: Mapped[str]
    # The name with case and accents folded. Clients are ordered by it.
    folded_name: Mapped[str] = mapped_column(
        ByCode, default=lambda context: fold_name(context.get_current_parameters()["name"])
    )
    email: Mapped[str | None]
    mailbox: Mapped[Mailbox | None]
    phone: Mapped[str | None]
    date_of_birth: Mapped[dt.date | None]
    clinician_id: Mapped[Reference | None]
    created_at: Mapped[dt.datetime]
    # The day on which the client left the practice.
    archived_on: Mapped[dt.date | None]
    # The other record of the same person that goes on, with the balance of this one.
    merged_into: Mapped[Reference | None]
    # The time at which the personal data was erased (billing/client_records/erasure.py).
    erased_at: Mapped[dt.datetime | None]
    # The practice's version at the last change; None if it was entered without one, as demo data.
    version: Mapped[int | None]


class ClientNamePart(Row):
    """A client's folded name from one of its words on. A search matches the beginning."""

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
    """A person who may see or pay the bills of linked clients."""

    __tablename__ = "contact"
    __table_args__ = (
        practice_reference(),
        *address_check("email"),
        # As for clients.
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
    """The rights of a contact to one client. A link must have at least one right."""

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
    # The last day of the rights, in the practice's time zone; None if they have no end.
    until: Mapped[dt.date | None]
