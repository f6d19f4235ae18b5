"""Inputs refuse wrong values, and name the field."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from billing.entry.credits import Credit, CreditUse
from billing.entry.documents import SharedDocument
from billing.entry.errors import EntryError, EntryErrorCode
from billing.entry.external_ids import ExternalId
from billing.entry.invoices import Adjustment, InvoiceVoid, NewInvoice, NewLine, WriteOff
from billing.entry.number_series import NumberSeries
from billing.entry.outside_payments import OutsidePayment, OutsideRefund, Portion
from billing.entry.people import (
    ClientDetails,
    ClinicianDetails,
    ContactDetails,
    ContactLink,
    PostalAddress,
    TaxId,
)
from billing.entry.practices import PracticeDetails, PracticeLogo
from billing.entry.sessions import SessionDetails
from billing.entry.statements import StatementPeriod
from billing.entry.superbills import SuperbillRequest
from models import DocumentKind, PaymentMethodKind, Relation

ID = "01900000-0000-7000-8000-000000000001"
DAY, CASH = dt.date(2026, 3, 2), PaymentMethodKind.CASH
LINE = NewLine("Letter", 100)
VALID: dict[Callable[..., Any], dict[str, Any]] = {
    PracticeDetails: {
        "name": "Harbor", "time_zone": "UTC", "currency": "USD", "locale": "en-US",
        "portal_url": "https://portal.example.com", "stripe_account": "acct_1",
    },
    ClinicianDetails: {"name": "Ruth Adeyemi", "npi": "1234567893"},
    ClientDetails: {"name": "Ana Prieto", "email": "ana@example.com", "date_of_birth": DAY},
    ContactDetails: {"name": "Gail Ahn", "email": "gail@example.com"},
    ContactLink: {
        "contact_id": ID, "relation": Relation.PARENT, "sees_documents": True, "can_pay": False,
        "until": DAY,
    },
    PostalAddress: {"line1": "1 Main", "city": "Portland", "postal_code": "04101", "country": "US"},
    TaxId: {"last4": "1234"},
    PracticeLogo: {"content": b"<svg/>", "since": DAY},
    NumberSeries: {"document_kind": DocumentKind.INVOICE, "prefix": "KT-1", "start": 1},
    SessionDetails: {"date": DAY, "description": "Session", "fee_minor": 0, "duration_minutes": 50},
    NewLine: {"description": "Letter", "unit_price_minor": 100, "session_id": None},
    NewInvoice: {"lines": [LINE], "due_on": DAY, "number": "5512", "notes": "One\nTwo"},
    InvoiceVoid: {"invoice_id": ID},
    WriteOff: {"invoice_id": ID, "amount_minor": 1},
    Adjustment: {"invoice_id": ID, "amount_minor": -1, "description": "Sliding scale"},
    Credit: {"amount_minor": -1, "description": "Courtesy"},
    CreditUse: {"invoice_id": ID, "amount_minor": 1},
    OutsidePayment: {"method": CASH, "amount_minor": 1, "paid_on": DAY, "invoice_id": ID},
    OutsideRefund: {"payment_id": ID, "amount_minor": 1, "refunded_on": DAY},
    StatementPeriod: {"first": DAY, "last": DAY},
    SuperbillRequest: {
        "first": DAY, "last": DAY, "clinician_id": ID, "diagnoses": {"F41.1": "Anxiety"},
        "place_of_service": "11", "modifiers": ["95"], "session_ids": [ID],
    },
    SharedDocument: {"document_kind": DocumentKind.INVOICE, "document_id": ID},
    ExternalId: {"source": "ehr", "id": "5512"},
}  # fmt: skip
WRONG: list[tuple[Callable[..., Any], str, Any]] = [
    *[
        (PracticeDetails, "name", name)
        for name in ("", " ", "x" * 201, "a\0b", "a\nb", "\ud800", 1, None)
    ],
    *[(PracticeDetails, "time_zone", name) for name in ("Mars/Olympus", "", None, "../etc/passwd")],
    *[(PracticeDetails, "currency", code) for code in ("zzz", "usd", "", None)],
    *[(PracticeDetails, "locale", tag) for tag in ("xx-unknown", "", None)],
    *[(PracticeDetails, "portal_url", url) for url in ("javascript:1", "http://a.example", 1)],
    (PracticeDetails, "stripe_account", "acct 1"),
    *[(PracticeDetails, "days_until_due", days) for days in (-1, 3651, 1.5, True)],
    *[(NumberSeries, "prefix", text) for text in ("", "-", "A B", "x" * 13, "Ä", 1)],
    *[(NumberSeries, "start", number) for number in (0, 10**12 + 1, "1")],
    (PracticeLogo, "since", "2026-03-02"),
    *[(ClinicianDetails, "npi", npi) for npi in ("1234567890", "123456789", "12345678933", "x", 1)],
    *[
        (ClientDetails, "email", text)
        for text in ("ana", "a@b@c", "a@b, c@d", "<a@b>", "@b", "a b@c")
    ],
    *[(ClientDetails, "date_of_birth", day) for day in ("1990-01-01", dt.date(202, 1, 1), 1)],
    (ClientDetails, "date_of_birth", dt.datetime(1990, 1, 1, tzinfo=dt.UTC)),
    (ClientDetails, "clinician_id", "nobody"),
    (ContactDetails, "email", "gail"),
    (ContactLink, "contact_id", "1"),
    (ContactLink, "sees_documents", False),
    (ContactLink, "until", "2026-03-02"),
    (PostalAddress, "line1", ""),
    (PostalAddress, "country", "USA"),
    (TaxId, "last4", "123"),
    *[(SessionDetails, "fee_minor", minor) for minor in (-1, 1.5, True, None, 2**53, "100")],
    (SessionDetails, "date", "2026-03-02"),
    (SessionDetails, "service_code", "9083"),
    (SessionDetails, "duration_minutes", 0),
    (SessionDetails, "starts_at", dt.datetime(2026, 3, 2)),  # noqa: DTZ001
    (NewLine, "unit_price_minor", None),
    (NewLine, "unit_price_minor", 10**12),
    (NewLine, "quantity_hundredths", 0),
    (NewLine, "description", None),
    (NewInvoice, "lines", []),
    (NewInvoice, "lines", [LINE] * 1_001),
    (NewInvoice, "lines", [NewLine(session_id=ID)] * 2),
    (NewInvoice, "number", ""),
    (NewInvoice, "notes", "x" * 5_001),
    (InvoiceVoid, "invoice_id", None),
    (WriteOff, "amount_minor", 0),
    (Adjustment, "amount_minor", 0),
    (Adjustment, "description", ""),
    (Credit, "amount_minor", 0),
    (CreditUse, "amount_minor", -1),
    (OutsidePayment, "method", PaymentMethodKind.CREDIT),
    (OutsidePayment, "method", "CASH "),
    (OutsidePayment, "amount_minor", 0),
    (OutsidePayment, "portions", [Portion(ID, 0)]),
    (OutsidePayment, "portions", [Portion(ID, 1), Portion(ID, 1)]),
    (OutsideRefund, "amount_minor", 0),
    (StatementPeriod, "last", DAY - dt.timedelta(1)),
    (SuperbillRequest, "diagnoses", {"41.1": None}),
    (SuperbillRequest, "diagnoses", {f"F{code}": None for code in range(10, 23)}),
    (SuperbillRequest, "place_of_service", "1"),
    (SuperbillRequest, "modifiers", ["955"]),
    (SuperbillRequest, "session_ids", ["x"]),
    (SuperbillRequest, "session_ids", [ID, ID]),
    (SharedDocument, "document_kind", DocumentKind.RECEIPT),
    (ExternalId, "id", ""),
]
# Where the error names another field than the argument.
NAMES = {
    ("ContactLink", "sees_documents"): "can_pay",
    ("ExternalId", "id"): "external_id",
    ("NewInvoice", "lines"): "lines",
    ("NumberSeries", "prefix"): "invoice_prefix",
    ("NumberSeries", "start"): "invoice_start",
    ("StatementPeriod", "last"): "period_end",
    ("TaxId", "last4"): "tax_id",
}


@pytest.mark.parametrize("input_class", VALID, ids=lambda one: one.__name__)
def test_valid_input_is_taken(input_class: Callable[..., Any]) -> None:
    assert input_class(**VALID[input_class])


@pytest.mark.parametrize(
    ("input_class", "field", "value"),
    WRONG,
    ids=[f"{one.__name__}-{field}-{number}" for number, (one, field, _) in enumerate(WRONG)],
)
def test_wrong_value_is_refused_by_name(
    input_class: Callable[..., Any], field: str, value: Any
) -> None:
    with pytest.raises(EntryError) as caught:
        input_class(**VALID[input_class] | {field: value})
    assert caught.value.code == EntryErrorCode.INVALID_VALUE
    named = NAMES.get((input_class.__name__, field), field)
    assert str(caught.value.field).partition(".")[0] == named
