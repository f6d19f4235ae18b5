"""Clinicians, clients and contacts: their details, and changes of them."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from billing.entry import validation as check
from billing.entry.client_ledger import ClientLedger
from billing.entry.practice_facts import PracticeFacts
from billing.entry.rows import Draft, Values
from models import (
    Client,
    ClientNamePart,
    Clinician,
    Contact,
    ContactRight,
    Letterhead,
    Relation,
)
from models.names import fold_name, name_parts

D = TypeVar("D")


@dataclass(frozen=True)
class PostalAddress:
    """A postal address."""

    line1: str
    city: str
    postal_code: str
    country: str
    line2: str | None = None
    region: str | None = None

    def __post_init__(self) -> None:
        for name in ("line1", "city", "postal_code"):
            check.check_text(name, getattr(self, name))
        for name in ("line2", "region"):
            check.check_optional_text(name, getattr(self, name))
        check.check_form("country", self.country, check.COUNTRY)


def address_columns(address: PostalAddress | None) -> Values:
    """Return the columns of an address, which are all None without one."""
    parts = vars(address) if address else dict.fromkeys(PostalAddress.__annotations__)
    return {f"address_{name}": value for name, value in parts.items()}


@dataclass(frozen=True)
class TaxId:
    """A tax id as it is stored: encrypted, and its last four digits."""

    last4: str
    encrypted: bytes | None = None

    def __post_init__(self) -> None:
        check.check_form("tax_id", self.last4, check.LAST_FOUR)


def letterhead_columns(address: PostalAddress | None, tax_id: TaxId | None) -> Values:
    number = {
        "tax_id_last4": tax_id.last4 if tax_id else None,
        "tax_id_encrypted": tax_id.encrypted if tax_id else None,
    }
    return address_columns(address) | number


# -- clinicians -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClinicianDetails:
    """The details of a clinician. The address and the tax id are for superbills."""

    kind: ClassVar[str] = "clinician"

    name: str
    credentials: str | None = None
    npi: str | None = None
    licence_number: str | None = None
    phone: str | None = None
    address: PostalAddress | None = None
    tax_id: TaxId | None = None

    def __post_init__(self) -> None:
        check.check_text("name", self.name)
        for name in ("credentials", "licence_number", "phone"):
            check.check_optional_text(name, getattr(self, name))
        check.check_npi("npi", self.npi)

    @property
    def columns(self) -> Values:
        names = ("name", "credentials", "npi", "licence_number")
        return {name: getattr(self, name) for name in names}

    @property
    def letterhead(self) -> Values:
        return self.columns | {"phone": self.phone} | letterhead_columns(self.address, self.tax_id)


def add_clinician(draft: Draft, facts: PracticeFacts, details: ClinicianDetails) -> str:
    """Add a clinician, with the letterhead of their superbills."""
    clinician_id = str(draft.insert(Clinician, **details.columns)["id"])
    draft.insert(Letterhead, clinician_id=clinician_id, **details.letterhead)
    return clinician_id


@dataclass(frozen=True)
class ClinicianChange:
    """New details of a clinician."""

    kind: ClassVar[str] = "clinician"

    row_id: str
    details: ClinicianDetails


def change_clinician(draft: Draft, facts: PracticeFacts, change: ClinicianChange) -> str:
    """Change a clinician. Their superbills to come have a new letterhead."""
    facts.check_clinician(change.row_id)
    draft.alter(Clinician, {"id": change.row_id}, **change.details.columns)
    draft.insert(Letterhead, clinician_id=change.row_id, **change.details.letterhead)
    return change.row_id


# -- clients ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClientDetails:
    """The details of a client."""

    kind: ClassVar[str] = "client"

    name: str
    email: str | None = None
    phone: str | None = None
    date_of_birth: dt.date | None = None
    clinician_id: str | None = None
    address: PostalAddress | None = None

    def __post_init__(self) -> None:
        check.check_text("name", self.name)
        check.check_email("email", self.email)
        check.check_optional_text("phone", self.phone)
        check.check_optional_day("date_of_birth", self.date_of_birth)
        check.check_optional_form("clinician_id", self.clinician_id, check.ID)

    @property
    def columns(self) -> Values:
        names = ("name", "email", "phone", "date_of_birth", "clinician_id")
        return (
            {name: getattr(self, name) for name in names}
            | {"folded_name": fold_name(self.name)}
            | address_columns(self.address)
        )


def add_client(draft: Draft, facts: PracticeFacts, details: ClientDetails) -> str:
    """Add a client, with the parts of the name that searches look up."""
    facts.check_clinician(details.clinician_id)
    client = draft.insert(Client, created_at=draft.now, **details.columns)
    insert_name_parts(draft, client)
    return str(client["id"])


@dataclass(frozen=True)
class ClientChange:
    """New details of a client."""

    kind: ClassVar[str] = "client"

    row_id: str
    details: ClientDetails

    def __post_init__(self) -> None:
        check.check_form("client_id", self.row_id, check.ID)


def change_client(draft: Draft, facts: PracticeFacts, change: ClientChange) -> str:
    """Change the details of a client. Documents keep the name that they were issued with."""
    facts.check_clinician(change.details.clinician_id)
    draft.alter(Client, {"id": change.row_id}, **change.details.columns)
    draft.delete(ClientNamePart, client_id=change.row_id)
    own = {"practice_id": facts.id, "id": change.row_id}
    insert_name_parts(draft, own | change.details.columns)
    return change.row_id


@dataclass(frozen=True)
class ClientArchive:
    """A client's departure from the practice, by default today."""

    kind: ClassVar[str] = "client"

    row_id: str
    archived_on: dt.date | None = None

    def __post_init__(self) -> None:
        check.check_form("client_id", self.row_id, check.ID)
        check.check_optional_day("archived_on", self.archived_on)


def archive_client(draft: Draft, facts: PracticeFacts, wanted: ClientArchive) -> str:
    """Archive a client. The client may still sign in and pay. Lists can leave the client out."""
    day = wanted.archived_on or draft.today
    if day > draft.today:
        raise check.invalid("archived_on", "is in the future")
    draft.alter(Client, {"id": wanted.row_id}, archived_on=day)
    return wanted.row_id


@dataclass(frozen=True)
class ClientRestore:
    """A client's return to the practice."""

    kind: ClassVar[str] = "client"

    row_id: str

    def __post_init__(self) -> None:
        check.check_form("client_id", self.row_id, check.ID)


def restore_client(draft: Draft, facts: PracticeFacts, wanted: ClientRestore) -> str:
    """Take a client out of the archive. A merged client is a client of its own again, and the
    balance stays where it was carried to.
    """
    draft.alter(Client, {"id": wanted.row_id}, archived_on=None, merged_into=None)
    return wanted.row_id


def insert_name_parts(draft: Draft, client: Values) -> None:
    for part in name_parts(client):
        draft.insert(ClientNamePart, **part)


# -- contacts --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ContactDetails:
    """The details of a contact: a parent, guardian or partner of clients."""

    kind: ClassVar[str] = "contact"

    name: str
    email: str | None = None

    def __post_init__(self) -> None:
        check.check_text("name", self.name)
        check.check_email("email", self.email)


def add_contact(draft: Draft, facts: PracticeFacts, details: ContactDetails) -> str:
    """Add a contact. The contact sees nothing until a client is linked."""
    return str(draft.insert(Contact, **vars(details))["id"])


@dataclass(frozen=True)
class ContactChange:
    """New details of a contact."""

    kind: ClassVar[str] = "contact"

    row_id: str
    details: ContactDetails

    def __post_init__(self) -> None:
        check.check_form("contact_id", self.row_id, check.ID)


def change_contact(draft: Draft, facts: PracticeFacts, change: ContactChange) -> str:
    """Change the details of a contact."""
    draft.alter(Contact, {"id": change.row_id}, **vars(change.details))
    return change.row_id


@dataclass(frozen=True)
class ContactLink:
    """A contact's rights to the bills of one client.

    `until` is the last day of the rights, in the practice's time zone. Without it they have no end.
    """

    kind: ClassVar[str] = "contact_link"

    contact_id: str
    relation: Relation
    sees_documents: bool
    can_pay: bool
    until: dt.date | None = None

    def __post_init__(self) -> None:
        check.check_form("contact_id", self.contact_id, check.ID)
        if not (self.sees_documents or self.can_pay):
            raise check.invalid("can_pay", "is needed where the contact sees no documents")
        check.check_optional_day("until", self.until)


def link_contact(draft: Draft, ledger: ClientLedger, link: ContactLink) -> str:
    """Give a contact these rights to a client, in place of those that the contact had."""
    draft.delete(ContactRight, client_id=ledger.id, contact_id=link.contact_id)
    draft.insert(ContactRight, **vars(link))
    return link.contact_id


@dataclass(frozen=True)
class ContactUnlink:
    """The end of all rights of a contact to a client."""

    kind: ClassVar[str] = "contact_unlink"

    contact_id: str

    def __post_init__(self) -> None:
        check.check_form("contact_id", self.contact_id, check.ID)


def unlink_contact(draft: Draft, ledger: ClientLedger, wanted: ContactUnlink) -> str:
    """Take all of a contact's rights to a client away."""
    draft.delete(ContactRight, client_id=ledger.id, contact_id=wanted.contact_id)
    return wanted.contact_id


# -- persons of other systems ----------------------------------------------------------------------


@dataclass(frozen=True)
class Person(Generic[D]):
    """How a kind of person is added, and how changed."""

    add: Callable[[Draft, PracticeFacts, D], str]
    change: Callable[[Draft, PracticeFacts, Any], str]
    new_details: Callable[[str, D], Any]


CLINICIAN = Person(add_clinician, change_clinician, ClinicianChange)
CLIENT = Person(add_client, change_client, ClientChange)
CONTACT = Person(add_contact, change_contact, ContactChange)
