"""The inputs of entries, as resolvers read them. The schema's input types extend them."""

import datetime as dt
from collections.abc import Sequence

from models import PaymentMethodKind
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


class CreditRecord(ForClient):
    """Credit, given or taken back."""

    amount: GivenAmount
    description: str
