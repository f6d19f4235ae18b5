"""The inputs of entries, as resolvers read them. The schema's input types extend them."""

import datetime as dt
from collections.abc import Sequence

from models import PaymentMethodKind, Relation
from resolvers.mutations.inputs import GivenAmount, Present


class ExternalKey:
    """The key of a record in another system."""

    source: str
    id: str


class RecordReference:
    """A record, by its id here or by its key in another system: one of these is present."""

    id: Present[str | None] | None
    external_id: Present[ExternalKey | None] | None


class Identified:
    """A record of another system."""

    external_id: ExternalKey


class ForClient(Identified):
    """A record of another system, for a client."""

    client: RecordReference


class GivenAddress:
    """A postal address."""

    line1: str
    line2: str | None
    city: str
    region: str | None
    postal_code: str
    country: str


class ClientRecord(Identified):
    """The details of a client."""

    name: str
    email: str | None
    phone: str | None
    date_of_birth: dt.date | None
    clinician: RecordReference | None
    address: GivenAddress | None


class ArchiveRecord:
    """A client to archive."""

    client: RecordReference
    archived_on: dt.date | None


class RestoreRecord:
    """An archived client to restore."""

    client: RecordReference


class MergeRecord:
    """Two records of one client."""

    client: RecordReference
    into: RecordReference


class ContactRecord(ForClient):
    """A contact, and the contact's rights to a client."""

    name: str
    email: str | None
    relation: Relation
    sees_documents: bool
    can_pay: bool
    until: dt.date | None


class ContactChoice:
    """A contact of a client."""

    client: RecordReference
    contact: ExternalKey


class SessionRecord(ForClient):
    """A session that took place."""

    date: dt.date
    description: str
    fee: GivenAmount
    clinician: RecordReference | None
    starts_at: dt.datetime | None
    duration_minutes: int | None
    service_code: str | None


class LineRecord:
    """A line of an invoice."""

    session: RecordReference | None
    description: str | None
    date: dt.date | None
    service_code: str | None
    unit_price: GivenAmount | None
    quantity: str


class InvoiceRecord(ForClient):
    """An invoice to issue."""

    lines: Sequence[LineRecord]
    number: str | None
    issued_on: dt.date | None
    due_on: dt.date | None
    clinician: RecordReference | None
    notes: str | None
    is_shared: bool


class InvoiceChoice:
    """An invoice."""

    invoice: RecordReference


class WriteOffRecord(Identified, InvoiceChoice):
    """An amount due to give up."""

    amount: GivenAmount | None
    description: str | None


class AdjustmentRecord(Identified, InvoiceChoice):
    """A correction of an invoice's billed amount."""

    amount: GivenAmount
    description: str


class CreditUseRecord(Identified, InvoiceChoice):
    """Unused credit to put toward an invoice."""

    amount: GivenAmount


class PortionRecord(InvoiceChoice):
    """The part of a payment for one invoice."""

    amount: GivenAmount


class PaymentRecord(ForClient):
    """A payment that was received outside the portal."""

    amount: GivenAmount
    method: PaymentMethodKind
    paid_on: dt.date | None
    invoice: RecordReference | None
    portions: Sequence[PortionRecord] | None


class RefundRecord(Identified):
    """Money of a payment that was given back outside the portal."""

    payment: RecordReference
    amount: GivenAmount
    refunded_on: dt.date | None
    description: str


class CreditRecord(ForClient):
    """Credit, given or taken back."""

    amount: GivenAmount
    description: str


class StatementRecord(ForClient):
    """A statement to issue."""

    period_start: dt.date
    period_end: dt.date
    is_shared: bool


class DiagnosisRecord:
    """A diagnosis of a superbill."""

    code: str
    description: str | None


class SuperbillRecord(ForClient):
    """A superbill to issue."""

    period_start: dt.date
    period_end: dt.date
    clinician: RecordReference
    diagnoses: Sequence[DiagnosisRecord]
    place_of_service: str | None
    modifiers: Sequence[str]
    is_shared: bool


class DocumentChoice:
    """A document to share: one of these is present."""

    invoice: Present[RecordReference | None] | None
    statement: Present[RecordReference | None] | None
    superbill: Present[RecordReference | None] | None
