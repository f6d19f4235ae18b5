"""Personal data: where it is, and what an erasure leaves in its place.

Every column of texts, lists or bytes is classified here: as personal, as part of a row that is
deleted, or as not personal, with the reason.
"""

from collections.abc import Mapping
from typing import Any

from billing.ledger.erased_values import CLIENT_NAME, ERASED, LEFT
from models import (
    AccessEntry,
    Client,
    ClientNamePart,
    Contact,
    ContactRight,
    ExternalReference,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Payment,
    PaymentMethod,
    PrintedDocument,
    Row,
    Session,
    SignInLink,
    SignInRequest,
    Statement,
    StatementLine,
    Superbill,
    SuperbillDiagnosis,
    Token,
)
from models.names import fold_name

CONTACT_NAME = "Erased contact"
NO_ADDRESS: Mapping[str, Any] = dict.fromkeys(
    f"address_{part}" for part in ("line1", "line2", "city", "region", "postal_code", "country")
)
# The columns with personal data, and what takes its place. `mailbox` follows the e-mail address.
PERSONAL: Mapping[type[Row], Mapping[str, Any]] = {
    Client: {
        "name": CLIENT_NAME,
        "folded_name": fold_name(CLIENT_NAME),
        "email": None,
        "phone": None,
        "date_of_birth": None,
        **NO_ADDRESS,
    },
    Contact: {"name": CONTACT_NAME, "email": None},
    Session: {"description": ERASED},
    Invoice: {"client_name": CLIENT_NAME, "notes": None},
    InvoiceLine: {"description": ERASED},
    Statement: {"client_name": CLIENT_NAME},
    StatementLine: {"description": ERASED},
    Superbill: {"client_name": CLIENT_NAME, "client_date_of_birth": None, **NO_ADDRESS},
    SuperbillDiagnosis: {"code": ERASED, "description": None},
    Payment: {"card_last4": None, "ended_because": None},
    PaymentMethod: {
        "last4": "0000",
        "cardholder_name": None,
        "billing_zip": None,
        "fingerprint": None,
    },
    LedgerEntry: {"description": LEFT[LedgerEntry]},
    PrintedDocument: {"content": LEFT[PrintedDocument]},
    # Of these two only some rows: see `erasure.py`.
    AccessEntry: {"name": ERASED, "arguments": ERASED},
    SignInRequest: {"email": None},
}
# The tables whose rows are deleted.
DELETED: tuple[type[Row], ...] = (
    ClientNamePart,
    ContactRight,
    ExternalReference,
    SignInLink,
    Token,
)
# The columns that stay, by the reason.
KEPT: Mapping[str, str] = {
    "computed from the e-mail address": "client.mailbox contact.mailbox",
    "a number or a key of the practice's books": (
        "invoice.number statement.number statement_line.invoice_number superbill.number"
        " receipt.number ledger_entry.reference refund.key document_counter.prefix"
        " chain_link.row_key erased_value.row_key"
    ),
    "a code of a fee schedule, without which an amount has no reason": (
        "session.service_code invoice_line.service_code superbill_line.cpt_code"
        " superbill_line.modifiers superbill_line.place_of_service"
        " superbill_line.diagnosis_pointers"
    ),
    "an id at Stripe: refunds and disputes of past payments name it, and it names nobody": (
        "payment.stripe_id payment.stripe_account payment_method.stripe_id"
        " payment_method.stripe_account refund.stripe_id refund.stripe_account dispute.stripe_id"
        " dispute.stripe_account card_setup.stripe_id card_setup.stripe_account"
        " detachment.stripe_id detachment.stripe_account stripe_customer.stripe_id"
        " stripe_customer.stripe_account unadopted_payment.stripe_id"
        " unadopted_payment.stripe_account stripe_event.id stripe_event.account"
        " stripe_event.object_id stripe_event.practice_id"
    ),
    "a word of the program's own": (
        "access_entry.operation access_entry.fields stripe_event.type stripe_event.refusal"
        " detachment.trouble payment.consent_version payment_method.consent_version"
        " card_setup.consent_version sign_in_limit.name outbox_event.row_state"
    ),
    "a hash with a key, or of the whole row": (
        "access_entry.address_hash payment.address_hash payment.idempotency_key"
        " card_setup.address_hash sign_in_limit.key_hash sign_in_request.email_hash"
        " sign_in_request.address_hash sign_in_request.nonce_hash chain_link.hash chain_root.hash"
        " erased_value.digest"
    ),
}
# The tables of the practice itself, its therapists and its installation.
OF_PRACTICE = (
    "practice clinician letterhead logo past_import practice_version data_version document_schedule"
    " event_endpoint"
    " installation recovery"
).split()
