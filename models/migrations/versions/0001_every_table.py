"""Every table of the portal."""

import sqlalchemy as sa
from alembic import op

from models.address import address_is_whole
from models.append_only import FUNCTION
from models.checks import (
    Word,
    address_check,
    column_checks,
    list_of_numbers,
    list_of_words,
    one_of_check,
    only_these,
)
from models.currencies import CURRENCIES
from models.invoice import DUE_OR_NEVER
from models.migrations.policies import set_policy
from models.migrations.protection import set_append_only
from models.names import folded_email
from models.row import ID, ByCode, Instant, digits, practice_reference, refers
from models.row_security import is_practice
from models.states import TRIGGERS
from models.version_triggers import RENEW, RENEW_ALL
from models.versioned_tables import VERSIONED

revision = "0001"
down_revision = None

TABLES = (
    "practice sign_in_limit sign_in_request stripe_event clinician contact "
    "document_counter document_schedule external_reference letterhead logo past_import practice_version client data_version "
    "printed_document chain_link erased_value chain_root client_name_part contact_right detachment invoice payment_method session "
    "statement stripe_customer superbill token sign_in_link access_entry card_setup "
    "invoice_line payment statement_line superbill_diagnosis superbill_line claim "
    "dispute receipt refund allocation ledger_entry installation recovery unadopted_payment "
    "outbox_event event_endpoint"
).split()
APPEND_ONLY = (
    "access_entry printed_document receipt allocation ledger_entry chain_link chain_root"
    " erased_value outbox_event"
).split()
SCOPES = "BILLING_READ DOCUMENTS_READ PHI_READ AGGREGATES_READ BILLING_WRITE"
EVENTS = (
    "CLIENT_CREATED CLIENT_UPDATED SESSION_CREATED SESSION_UPDATED "
    "PAYMENT_CREATED PAYMENT_SUCCEEDED PAYMENT_FAILED PAYMENT_CANCELED PAYMENT_REFUNDED "
    "PAYMENT_DISPUTED PAYMENT_UPDATED "
    "INVOICE_ISSUED INVOICE_PAID INVOICE_REOPENED INVOICE_VOIDED INVOICE_UPDATED "
    "STATEMENT_ISSUED STATEMENT_UPDATED SUPERBILL_ISSUED SUPERBILL_UPDATED"
)
BRANDS = "VISA MASTERCARD AMEX DISCOVER DINERS JCB UNIONPAY OTHER"
REASONS = (
    "GENERIC INSUFFICIENT_FUNDS EXPIRED_CARD INCORRECT_CVC INCORRECT_ZIP AUTHENTICATION_FAILED"
)


def upgrade() -> None:
    create_table(
        "practice",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("portal_url", sa.Text(), nullable=True),
        sa.Column("stripe_account", Word(), nullable=True),
        sa.Column("clients_remove_cards", sa.Boolean(), nullable=False),
        sa.Column("days_until_due", sa.Integer(), nullable=True),
        sa.Column("compared_at", Instant(), nullable=True),
        sa.Column("compare_after", Instant(), nullable=True),
        sa.Column("leased_until", Instant(), nullable=True),
        *address(),
        address_is_whole(),
        one_of_check("currency", CURRENCIES),
        *address_check("email"),
        sa.CheckConstraint("days_until_due >= 0", name="days_until_due_positive"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("stripe_account"),
    )
    create_table(
        "sign_in_limit",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("spent_until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "key_hash"),
    )
    create_table(
        "sign_in_request",
        sa.Column("id", ID, nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_hash", sa.Text(), nullable=False),
        sa.Column("address_hash", sa.Text(), nullable=True),
        sa.Column("nonce_hash", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("is_mailed", sa.Boolean(), nullable=False),
        sa.Column("code_tries", sa.Integer(), nullable=False),
        sa.Column("turn_at", Instant(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("leased_until", Instant(), nullable=True),
        sa.Column("done_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("nonce_hash"),
    )
    partial_index("ix_sign_in_request_waiting", "sign_in_request", ["turn_at"], "done_at IS NULL")
    create_table(
        "stripe_event",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=True),
        sa.Column("practice_id", sa.Text(), nullable=True),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("leased_until", Instant(), nullable=True),
        sa.Column("handled_at", Instant(), nullable=True),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    partial_index("ix_stripe_event_waiting", "stripe_event", ["received_at"], "handled_at IS NULL")
    create_table(
        "clinician",
        *key(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("credentials", sa.Text(), nullable=True),
        sa.Column("npi", sa.Text(), nullable=True),
        sa.Column("licence_number", sa.Text(), nullable=True),
        digits("npi", 10),
        practice_reference(),
        sa.PrimaryKeyConstraint("practice_id", "id"),
    )
    create_table(
        "contact",
        *key(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        mailbox(),
        *address_check("email"),
        practice_reference(),
        sa.PrimaryKeyConstraint("practice_id", "id"),
    )
    create_table(
        "document_counter",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("kind", chosen("kind", "INVOICE STATEMENT SUPERBILL RECEIPT"), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("prefix", Word(), nullable=True),
        sa.CheckConstraint("last >= 0", name="last_positive"),
        practice_reference(),
        sa.PrimaryKeyConstraint("practice_id", "kind"),
    )
    create_table(
        "external_reference",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("source", ByCode, nullable=False),
        sa.Column("kind", ByCode, nullable=False),
        sa.Column("external_id", ByCode, nullable=False),
        sa.Column("row_id", ID, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        practice_reference(),
        sa.PrimaryKeyConstraint("practice_id", "source", "kind", "external_id"),
    )
    op.create_index(
        "ix_external_reference_practice_id_row_id",
        "external_reference",
        ["practice_id", "row_id"],
    )
    create_table(
        "past_import",
        *key(),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("imported_at", Instant(), nullable=False),
        sa.Column("imported_by", sa.Text(), nullable=True),
        sa.Column("entered", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("undone_at", Instant(), nullable=True),
        practice_reference(),
        sa.PrimaryKeyConstraint("practice_id", "id"),
    )
    op.create_index(
        "ix_past_import_practice_id_imported_at", "past_import", ["practice_id", "imported_at"]
    )
    create_table(
        "letterhead",
        *key(),
        sa.Column("clinician_id", ID, nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("credentials", sa.Text(), nullable=True),
        sa.Column("npi", sa.Text(), nullable=True),
        sa.Column("licence_number", sa.Text(), nullable=True),
        sa.Column("tax_id_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("tax_id_last4", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        *address(),
        digits("npi", 10),
        digits("tax_id_last4", 4),
        address_is_whole(),
        practice_reference(),
        refers("clinician", "clinician_id"),
        sa.PrimaryKeyConstraint("practice_id", "id"),
    )
    create_table(
        "logo",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        practice_reference(),
        sa.PrimaryKeyConstraint("practice_id", "since"),
    )
    create_table(
        "practice_version",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        practice_reference(),
        sa.PrimaryKeyConstraint("practice_id"),
    )
    create_table(
        "data_version",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("part", ID, nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("renewed_in", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("practice_id", "part"),
    )
    create_table(
        "document_schedule",
        *key(),
        sa.Column("kind", chosen("kind", "INVOICE STATEMENT SUPERBILL RECEIPT"), nullable=False),
        sa.Column("day_of_month", sa.Integer(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("attempt_at", Instant(), nullable=False),
        sa.Column("leased_until", Instant(), nullable=True),
        sa.CheckConstraint("kind IN ('STATEMENT', 'SUPERBILL')", name="kind_is_of_a_month"),
        sa.CheckConstraint("day_of_month BETWEEN 1 AND 28", name="day_of_every_month"),
        practice_reference(),
        sa.PrimaryKeyConstraint("practice_id", "id"),
        sa.UniqueConstraint("practice_id", "kind"),
    )
    create_table(
        "client",
        *key(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("folded_name", ByCode, nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        mailbox(),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("date_of_birth", sa.Date(), nullable=True),
        sa.Column("clinician_id", ID, nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("archived_on", sa.Date(), nullable=True),
        sa.Column("merged_into", ID, nullable=True),
        sa.Column("erased_at", Instant(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=True),
        *address(),
        sa.CheckConstraint("merged_into <> id", name="merged_into_another"),
        sa.CheckConstraint(
            "merged_into IS NULL OR archived_on IS NOT NULL", name="merged_is_archived"
        ),
        address_is_whole(),
        *address_check("email"),
        refers("client", "merged_into"),
        refers("clinician", "clinician_id"),
        practice_reference(),
        sa.PrimaryKeyConstraint("practice_id", "id"),
    )
    op.create_index("ix_client_practice_id_clinician_id", "client", ["practice_id", "clinician_id"])
    op.create_index(
        "ix_client_practice_id_created_at_id", "client", ["practice_id", "created_at", "id"]
    )
    op.create_index(
        "ix_client_practice_id_folded_name_id", "client", ["practice_id", "folded_name", "id"]
    )
    op.create_index("ix_client_practice_id_version", "client", ["practice_id", "version"])
    create_table(
        "printed_document",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("kind", chosen("kind", "INVOICE STATEMENT SUPERBILL RECEIPT"), nullable=False),
        sa.Column("document_id", ID, nullable=False),
        sa.Column("is_void", sa.Boolean(), nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("is_archival", sa.Boolean(), nullable=False),
        sa.Column("printed_at", Instant(), nullable=False),
        sa.CheckConstraint("kind = 'INVOICE' OR NOT is_void", name="void_is_an_invoice"),
        refers("client", "client_id"),
        sa.PrimaryKeyConstraint("practice_id", "kind", "document_id", "is_void"),
    )
    op.create_index(
        "ix_printed_document_practice_id_client_id",
        "printed_document",
        ["practice_id", "client_id"],
    )
    create_table(
        "chain_link",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column(
            "table_name",
            chosen("table_name", "LEDGER_ENTRY ALLOCATION RECEIPT PRINTED_DOCUMENT"),
            nullable=False,
        ),
        sa.Column("row_key", sa.Text(), nullable=False),
        sa.Column("added_at", Instant(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("position > 0", name="position_positive"),
        sa.CheckConstraint("length(hash) = 32", name="hash_sha256"),
        refers("client", "client_id"),
        sa.PrimaryKeyConstraint("practice_id", "client_id", "position"),
    )
    create_table(
        "erased_value",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column(
            "table_name",
            chosen("table_name", "LEDGER_ENTRY ALLOCATION RECEIPT PRINTED_DOCUMENT"),
            nullable=False,
        ),
        sa.Column("row_key", sa.Text(), nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("erased_at", Instant(), nullable=False),
        sa.CheckConstraint("length(digest) = 32", name="digest_sha256"),
        refers("client", "client_id"),
        sa.PrimaryKeyConstraint("practice_id", "table_name", "row_key"),
    )
    op.create_index(
        "ix_erased_value_practice_id_client_id", "erased_value", ["practice_id", "client_id"]
    )
    create_table(
        "chain_root",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", Instant(), nullable=False),
        sa.CheckConstraint("length(hash) = 32", name="hash_sha256"),
        practice_reference(),
        sa.PrimaryKeyConstraint("practice_id", "day"),
    )
    create_table(
        "client_name_part",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("text", ByCode, nullable=False),
        refers("client", "client_id"),
        sa.PrimaryKeyConstraint("practice_id", "client_id", "position"),
    )
    op.create_index(
        "ix_client_name_part_practice_id_text", "client_name_part", ["practice_id", "text"]
    )
    create_table(
        "contact_right",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("relation", chosen("relation", "PARENT GUARDIAN PARTNER"), nullable=False),
        sa.Column("sees_documents", sa.Boolean(), nullable=False),
        sa.Column("can_pay", sa.Boolean(), nullable=False),
        sa.Column("until", sa.Date()),
        sa.CheckConstraint("sees_documents OR can_pay", name="some_right"),
        refers("client", "client_id"),
        refers("contact", "contact_id"),
        sa.PrimaryKeyConstraint("practice_id", "contact_id", "client_id"),
    )
    op.create_index(
        "ix_contact_right_practice_id_client_id", "contact_right", ["practice_id", "client_id"]
    )
    create_table(
        "detachment",
        *key(),
        sa.Column("client_id", ID, nullable=True),
        sa.Column("contact_id", ID, nullable=True),
        sa.Column("stripe_account", Word(), nullable=False),
        sa.Column("stripe_id", Word(), nullable=False),
        sa.Column("is_customer", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("checked_at", Instant(), nullable=False),
        sa.Column("leased_until", Instant(), nullable=True),
        sa.Column("done_at", Instant(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.CheckConstraint("(client_id IS NULL) <> (contact_id IS NULL)", name="one_holder"),
        refers("client", "client_id"),
        refers("contact", "contact_id"),
        sa.PrimaryKeyConstraint("practice_id", "id"),
        sa.UniqueConstraint("practice_id", "stripe_account", "stripe_id"),
    )
    partial_index("ix_detachment_waiting", "detachment", ["checked_at"], "done_at IS NULL")
    create_table(
        "invoice",
        *key(),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("clinician_id", ID, nullable=True),
        sa.Column("letterhead_id", ID, nullable=False),
        sa.Column("client_name", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("is_void", sa.Boolean(), nullable=False),
        sa.Column("voided_on", sa.Date(), nullable=True),
        sa.Column("shared_at", Instant(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("is_void = (voided_on IS NOT NULL)", name="void_has_a_day"),
        refers("client", "client_id"),
        refers("clinician", "clinician_id"),
        refers("letterhead", "letterhead_id"),
        sa.PrimaryKeyConstraint("practice_id", "id"),
        sa.UniqueConstraint("practice_id", "client_id", "id"),
        sa.UniqueConstraint("practice_id", "id", "is_void"),
        sa.UniqueConstraint("practice_id", "serial"),
    )
    op.create_index(
        "ix_invoice_practice_id_client_id_issued_on_serial",
        "invoice",
        ["practice_id", "client_id", "issued_on", "serial"],
    )
    op.create_index(
        "ix_invoice_practice_id_clinician_id_issued_on_serial",
        "invoice",
        ["practice_id", "clinician_id", "issued_on", "serial"],
    )
    op.create_index(
        "ix_invoice_practice_id_issued_on_serial", "invoice", ["practice_id", "issued_on", "serial"]
    )
    op.create_index("ix_invoice_practice_id_version", "invoice", ["practice_id", "version"])
    create_table(
        "payment_method",
        *key(),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=True),
        sa.Column("stripe_account", Word(), nullable=False),
        sa.Column("stripe_id", Word(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column(
            "brand",
            chosen("brand", BRANDS),
            nullable=False,
        ),
        sa.Column("last4", sa.Text(), nullable=False),
        sa.Column("exp_month", sa.Integer(), nullable=False),
        sa.Column("exp_year", sa.Integer(), nullable=False),
        sa.Column("cardholder_name", sa.Text(), nullable=True),
        sa.Column("billing_zip", sa.Text(), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("is_shared", sa.Boolean(), nullable=False),
        sa.Column("added_at", Instant(), nullable=False),
        sa.Column("consent_version", sa.Text(), nullable=False),
        sa.Column("consented_at", Instant(), nullable=False),
        sa.Column("removed_at", Instant(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        digits("last4", 4),
        sa.CheckConstraint("NOT is_default OR removed_at IS NULL", name="default_is_kept"),
        sa.CheckConstraint("NOT is_shared OR removed_at IS NULL", name="shared_is_kept"),
        sa.CheckConstraint("exp_month BETWEEN 1 AND 12", name="exp_month"),
        sa.CheckConstraint("exp_year BETWEEN 2000 AND 2200", name="exp_year"),
        refers("client", "client_id"),
        refers("contact", "contact_id"),
        sa.PrimaryKeyConstraint("practice_id", "id"),
        sa.UniqueConstraint("practice_id", "client_id", "id"),
        sa.UniqueConstraint("practice_id", "stripe_account", "stripe_id"),
    )
    op.create_index(
        "ix_payment_method_practice_id_client_id_added_at_id",
        "payment_method",
        ["practice_id", "client_id", "added_at", "id"],
    )
    op.create_index(
        "ix_payment_method_practice_id_contact_id", "payment_method", ["practice_id", "contact_id"]
    )
    op.create_index("ix_payment_method_stripe_id", "payment_method", ["stripe_id"])
    partial_index(
        "uq_payment_method_default",
        "payment_method",
        ["practice_id", "client_id", "stripe_account"],
        "is_default AND removed_at IS NULL AND contact_id IS NULL",
        unique=True,
    )
    partial_index(
        "uq_payment_method_contact_default",
        "payment_method",
        ["practice_id", "client_id", "contact_id", "stripe_account"],
        "is_default AND removed_at IS NULL",
        unique=True,
    )
    partial_index(
        "uq_payment_method_fingerprint",
        "payment_method",
        ["practice_id", "client_id", "stripe_account", "fingerprint"],
        "removed_at IS NULL AND contact_id IS NULL",
        unique=True,
    )
    partial_index(
        "uq_payment_method_contact_fingerprint",
        "payment_method",
        ["practice_id", "client_id", "contact_id", "stripe_account", "fingerprint"],
        "removed_at IS NULL",
        unique=True,
    )
    create_table(
        "session",
        *key(),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("clinician_id", ID, nullable=True),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("starts_at", Instant(), nullable=True),
        sa.Column("duration_minutes", sa.Integer(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("service_code", sa.Text(), nullable=True),
        sa.Column("fee_minor", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("fee_minor >= 0", name="fee_positive"),
        refers("client", "client_id"),
        refers("clinician", "clinician_id"),
        sa.PrimaryKeyConstraint("practice_id", "id"),
        sa.UniqueConstraint("practice_id", "client_id", "id"),
    )
    op.create_index(
        "ix_session_practice_id_client_id_date_id",
        "session",
        ["practice_id", "client_id", "date", "id"],
    )
    op.create_index("ix_session_practice_id_date_id", "session", ["practice_id", "date", "id"])
    op.create_index("ix_session_practice_id_version", "session", ["practice_id", "version"])
    create_table(
        "statement",
        *key(),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("letterhead_id", ID, nullable=False),
        sa.Column("client_name", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("period_end", sa.Date(), nullable=False),
        sa.Column("beginning_minor", sa.BigInteger(), nullable=False),
        sa.Column("invoiced_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("ending_minor", sa.BigInteger(), nullable=False),
        sa.Column("shared_at", Instant(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "ending_minor = beginning_minor + invoiced_minor - paid_minor", name="sum"
        ),
        sa.CheckConstraint("period_start <= period_end", name="period_in_order"),
        refers("client", "client_id"),
        refers("letterhead", "letterhead_id"),
        sa.PrimaryKeyConstraint("practice_id", "id"),
        sa.UniqueConstraint("practice_id", "serial"),
    )
    op.create_index(
        "ix_statement_practice_id_client_id_issued_on_serial",
        "statement",
        ["practice_id", "client_id", "issued_on", "serial"],
    )
    op.create_index(
        "ix_statement_practice_id_issued_on_serial",
        "statement",
        ["practice_id", "issued_on", "serial"],
    )
    op.create_index("ix_statement_practice_id_version", "statement", ["practice_id", "version"])
    create_table(
        "stripe_customer",
        *key(),
        sa.Column("client_id", ID, nullable=True),
        sa.Column("contact_id", ID, nullable=True),
        sa.Column("stripe_account", Word(), nullable=False),
        sa.Column("stripe_id", Word(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("deleted_at", Instant(), nullable=True),
        sa.CheckConstraint("(client_id IS NULL) <> (contact_id IS NULL)", name="one_holder"),
        refers("client", "client_id"),
        refers("contact", "contact_id"),
        sa.PrimaryKeyConstraint("practice_id", "id"),
        sa.UniqueConstraint("practice_id", "stripe_account", "stripe_id"),
    )
    partial_index(
        "uq_stripe_customer_current",
        "stripe_customer",
        ["practice_id", "client_id", "stripe_account"],
        "deleted_at IS NULL",
        unique=True,
    )
    partial_index(
        "uq_stripe_customer_contact",
        "stripe_customer",
        ["practice_id", "contact_id", "stripe_account"],
        "deleted_at IS NULL",
        unique=True,
    )
    create_table(
        "superbill",
        *key(),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("letterhead_id", ID, nullable=False),
        sa.Column("rendering_letterhead_id", ID, nullable=True),
        sa.Column("client_name", sa.Text(), nullable=False),
        sa.Column("client_date_of_birth", sa.Date(), nullable=True),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("period_end", sa.Date(), nullable=False),
        sa.Column("shared_at", Instant(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=True),
        *address(),
        address_is_whole(),
        sa.CheckConstraint("period_start <= period_end", name="period_in_order"),
        refers("client", "client_id"),
        refers("letterhead", "letterhead_id"),
        refers("letterhead", "rendering_letterhead_id"),
        sa.PrimaryKeyConstraint("practice_id", "id"),
        sa.UniqueConstraint("practice_id", "serial"),
    )
    op.create_index(
        "ix_superbill_practice_id_client_id_issued_on_serial",
        "superbill",
        ["practice_id", "client_id", "issued_on", "serial"],
    )
    op.create_index(
        "ix_superbill_practice_id_issued_on_serial",
        "superbill",
        ["practice_id", "issued_on", "serial"],
    )
    op.create_index("ix_superbill_practice_id_version", "superbill", ["practice_id", "version"])
    create_table(
        "token",
        *key(),
        sa.Column("kind", chosen("kind", "CLIENT CONTACT DASHBOARD INTEGRATION"), nullable=False),
        sa.Column("client_id", ID, nullable=True),
        sa.Column("contact_id", ID, nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.Column("last_used_at", Instant(), nullable=True),
        sa.Column("is_sign_in", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'CLIENT') = (client_id IS NOT NULL)"
            " AND (kind = 'CONTACT') = (contact_id IS NOT NULL)",
            name="one_subject",
        ),
        sa.CheckConstraint(
            "(kind = 'INTEGRATION') = (CAST(scopes AS TEXT) LIKE '%\"BILLING_WRITE\"%')",
            name="integration_writes",
        ),
        refers("client", "client_id"),
        refers("contact", "contact_id"),
        practice_reference(),
        sa.PrimaryKeyConstraint("practice_id", "id"),
        *only_these("scopes", SCOPES.split()),
        sa.UniqueConstraint("hash"),
    )
    partial_index("ix_token_sign_in", "token", ["practice_id", "email"], "is_sign_in")
    create_table(
        "sign_in_link",
        *key(),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_hash", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("nonce_hash", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("used_at", Instant(), nullable=True),
        sa.Column("used_nonce_hash", sa.Text(), nullable=True),
        sa.Column("token_id", ID, nullable=True),
        sa.CheckConstraint(
            "(used_at IS NULL) = (token_id IS NULL)"
            " AND (used_at IS NULL) = (used_nonce_hash IS NULL)",
            name="used_has_a_token",
        ),
        refers("token", "token_id"),
        practice_reference(),
        sa.PrimaryKeyConstraint("practice_id", "id"),
        sa.UniqueConstraint("practice_id", "nonce_hash"),
        sa.UniqueConstraint("secret_hash"),
    )
    op.create_index("ix_sign_in_link_nonce_hash", "sign_in_link", ["nonce_hash"])
    op.create_index("ix_sign_in_link_practice_id_email", "sign_in_link", ["practice_id", "email"])
    create_table(
        "access_entry",
        *key(),
        sa.Column("client_id", ID, nullable=True),
        sa.Column("token_id", ID, nullable=True),
        sa.Column("actor_id", ID, nullable=True),
        sa.Column(
            "kind", chosen("kind", "CLIENT CONTACT DASHBOARD INTEGRATION OPERATOR"), nullable=False
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "action", chosen("action", "READ CHANGE SIGN_IN SIGN_OUT REFUSED"), nullable=False
        ),
        sa.Column("operation", sa.Text(), nullable=True),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=True),
        sa.Column("count", sa.Integer(), nullable=True),
        sa.Column("address_hash", sa.Text(), nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("practice_id", "id"),
    )
    op.create_index(
        "ix_access_entry_practice_id_client_id_id",
        "access_entry",
        ["practice_id", "client_id", "id"],
    )
    create_table(
        "card_setup",
        *key(),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=True),
        sa.Column("stripe_account", Word(), nullable=False),
        sa.Column("stripe_id", Word(), nullable=True),
        sa.Column(
            "state", chosen("state", "PREPARED KEPT REFUSED CANCELED UNMADE"), nullable=False
        ),
        sa.Column(
            "reason",
            chosen("reason", REASONS),
            nullable=True,
        ),
        sa.Column("payment_method_id", ID, nullable=True),
        sa.Column("was_on_file", sa.Boolean(), nullable=True),
        sa.Column("consent_version", sa.Text(), nullable=False),
        sa.Column("address_hash", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "(state = 'KEPT') = (payment_method_id IS NOT NULL)", name="kept_is_a_card"
        ),
        sa.CheckConstraint("state <> 'REFUSED' OR reason IS NOT NULL", name="refused_has_a_reason"),
        sa.CheckConstraint(
            "stripe_id IS NOT NULL OR state IN ('PREPARED', 'CANCELED', 'UNMADE')",
            name="ended_is_named",
        ),
        refers("payment_method", "payment_method_id", client=True),
        refers("client", "client_id"),
        refers("contact", "contact_id"),
        sa.PrimaryKeyConstraint("practice_id", "id"),
        sa.UniqueConstraint("practice_id", "stripe_account", "stripe_id"),
    )
    for column, at in (
        ("client_id", "changed_at"),
        ("client_id", "created_at"),
        ("address_hash", "created_at"),
    ):
        op.create_index(
            f"ix_card_setup_practice_id_{column}_{at}", "card_setup", ["practice_id", column, at]
        )
    partial_index(
        "ix_card_setup_refused",
        "card_setup",
        ["practice_id", "address_hash", "changed_at"],
        "state = 'REFUSED'",
    )
    op.create_index("ix_card_setup_stripe_id", "card_setup", ["stripe_id"])
    create_table(
        "invoice_line",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("invoice_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("session_id", ID, nullable=True),
        sa.Column("date", sa.Date(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("service_code", sa.Text(), nullable=True),
        sa.Column("quantity_hundredths", sa.BigInteger(), nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("is_void", sa.Boolean(), nullable=False),
        sa.CheckConstraint("quantity_hundredths > 0", name="quantity_positive"),
        sa.ForeignKeyConstraint(
            ["practice_id", "invoice_id", "is_void"],
            ["invoice.practice_id", "invoice.id", "invoice.is_void"],
            onupdate="CASCADE",
            ondelete="RESTRICT",
        ),
        refers("session", "session_id"),
        sa.PrimaryKeyConstraint("practice_id", "invoice_id", "position"),
    )
    op.create_index(
        "uq_invoice_line_session",
        "invoice_line",
        ["practice_id", "session_id"],
        unique=True,
        postgresql_where=sa.text("NOT is_void"),
        sqlite_where=sa.text("is_void = 0"),
    )
    create_table(
        "payment",
        *key(),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=True),
        sa.Column("invoice_id", ID, nullable=True),
        sa.Column(
            "method",
            chosen("method", "CARD CASH CHECK BANK_TRANSFER INSURANCE CREDIT OTHER"),
            nullable=False,
        ),
        sa.Column(
            "state",
            chosen(
                "state", "CREATED CONFIRMING REQUIRES_ACTION PROCESSING SUCCEEDED FAILED CANCELED"
            ),
            nullable=False,
        ),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("payment_method_id", ID, nullable=True),
        sa.Column(
            "card_brand",
            chosen("card_brand", BRANDS),
            nullable=True,
        ),
        sa.Column("card_last4", sa.Text(), nullable=True),
        sa.Column(
            "failure_reason",
            chosen("failure_reason", REASONS),
            nullable=True,
        ),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("stripe_account", Word(), nullable=True),
        sa.Column("stripe_id", Word(), nullable=True),
        sa.Column(
            "refusal",
            chosen("refusal", "AMOUNT_TOO_SMALL AMOUNT_TOO_LARGE PAYMENTS_UNAVAILABLE"),
            nullable=True,
        ),
        sa.Column("processor_fee_minor", sa.BigInteger(), nullable=True),
        sa.Column("charged_at", Instant(), nullable=True),
        sa.Column("ended_because", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("created_on", sa.Date(), nullable=False),
        sa.Column("paid_at", Instant(), nullable=True),
        sa.Column("save_card", sa.Boolean(), nullable=True),
        sa.Column("make_default", sa.Boolean(), nullable=True),
        sa.Column("consent_version", sa.Text(), nullable=True),
        sa.Column("address_hash", sa.Text(), nullable=True),
        sa.Column("changed_at", Instant(), nullable=True),
        sa.Column("checked_at", Instant(), nullable=True),
        sa.Column("leased_until", Instant(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(state = 'SUCCEEDED') = (paid_at IS NOT NULL)", name="paid_has_a_time"),
        digits("card_last4", 4),
        sa.CheckConstraint(
            "state <> 'FAILED' OR failure_reason IS NOT NULL", name="failed_has_a_reason"
        ),
        sa.CheckConstraint("amount_minor >= 0", name="amount_positive"),
        sa.CheckConstraint(
            "stripe_id IS NULL OR stripe_account IS NOT NULL", name="stripe_id_has_an_account"
        ),
        refers("invoice", "invoice_id", client=True),
        refers("payment_method", "payment_method_id"),
        refers("client", "client_id"),
        refers("contact", "contact_id"),
        sa.PrimaryKeyConstraint("practice_id", "id"),
        sa.UniqueConstraint("practice_id", "client_id", "id"),
        sa.UniqueConstraint("practice_id", "client_id", "idempotency_key"),
        sa.UniqueConstraint("practice_id", "stripe_account", "stripe_id"),
    )
    partial_index(
        "ix_payment_active",
        "payment",
        ["checked_at"],
        "state IN ('CREATED', 'CONFIRMING', 'REQUIRES_ACTION', 'PROCESSING')",
    )
    partial_index(
        "ix_payment_declined",
        "payment",
        ["practice_id", "address_hash", "changed_at"],
        "state = 'FAILED' AND address_hash IS NOT NULL",
    )
    op.create_index(
        "ix_payment_practice_id_client_id_created_on_id",
        "payment",
        ["practice_id", "client_id", "created_on", "id"],
    )
    op.create_index(
        "ix_payment_practice_id_created_on_id", "payment", ["practice_id", "created_on", "id"]
    )
    op.create_index(
        "ix_payment_practice_id_state_created_on_id",
        "payment",
        ["practice_id", "state", "created_on", "id"],
    )
    op.create_index("ix_payment_practice_id_version", "payment", ["practice_id", "version"])
    op.create_index("ix_payment_stripe_id", "payment", ["stripe_id"])
    partial_index(
        "uq_payment_active",
        "payment",
        ["practice_id", "client_id"],
        "state IN ('CREATED', 'CONFIRMING', 'REQUIRES_ACTION', 'PROCESSING')",
        unique=True,
    )
    create_table(
        "statement_line",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("statement_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("invoice_number", sa.Text(), nullable=True),
        sa.Column("invoiced_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("balance_after_minor", sa.BigInteger(), nullable=False),
        refers("statement", "statement_id"),
        sa.PrimaryKeyConstraint("practice_id", "statement_id", "position"),
    )
    create_table(
        "superbill_diagnosis",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("superbill_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        refers("superbill", "superbill_id"),
        sa.PrimaryKeyConstraint("practice_id", "superbill_id", "position"),
    )
    create_table(
        "superbill_line",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("superbill_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("session_id", ID, nullable=True),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("place_of_service", sa.Text(), nullable=True),
        sa.Column("cpt_code", sa.Text(), nullable=True),
        sa.Column("modifiers", sa.JSON(), nullable=False),
        sa.Column("units_hundredths", sa.BigInteger(), nullable=False),
        sa.Column("diagnosis_pointers", sa.JSON(), nullable=False),
        sa.Column("fee_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        digits("place_of_service", 2),
        *list_of_words("modifiers"),
        *list_of_numbers("diagnosis_pointers"),
        sa.CheckConstraint("units_hundredths > 0", name="units_positive"),
        refers("session", "session_id"),
        refers("superbill", "superbill_id"),
        sa.PrimaryKeyConstraint("practice_id", "superbill_id", "position"),
    )
    create_table(
        "claim",
        *key(),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("payment_id", ID, nullable=False),
        sa.Column("invoice_id", ID, nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
        refers("invoice", "invoice_id", client=True),
        refers("payment", "payment_id", client=True),
        sa.PrimaryKeyConstraint("practice_id", "id"),
        sa.UniqueConstraint("practice_id", "invoice_id"),
    )
    op.create_index("ix_claim_practice_id_payment_id", "claim", ["practice_id", "payment_id"])
    create_table(
        "dispute",
        *key(),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("payment_id", ID, nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("state", chosen("state", "OPEN WON LOST"), nullable=False),
        sa.Column("stripe_account", Word(), nullable=False),
        sa.Column("stripe_id", Word(), nullable=False),
        sa.Column("disputed_at", Instant(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
        refers("payment", "payment_id", client=True),
        refers("client", "client_id"),
        sa.PrimaryKeyConstraint("practice_id", "id"),
        sa.UniqueConstraint("practice_id", "client_id", "id"),
        sa.UniqueConstraint("practice_id", "stripe_account", "stripe_id"),
    )
    partial_index("ix_dispute_open", "dispute", ["practice_id", "client_id"], "state = 'OPEN'")
    op.create_index("ix_dispute_practice_id_payment_id", "dispute", ["practice_id", "payment_id"])
    create_table(
        "receipt",
        *key(),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=True),
        sa.Column("payment_id", ID, nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("issued_at", Instant(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        refers("payment", "payment_id", client=True),
        refers("client", "client_id"),
        refers("contact", "contact_id"),
        sa.PrimaryKeyConstraint("practice_id", "id"),
        sa.UniqueConstraint("practice_id", "payment_id"),
        sa.UniqueConstraint("practice_id", "serial"),
    )
    op.create_index(
        "ix_receipt_practice_id_client_id_issued_on_serial",
        "receipt",
        ["practice_id", "client_id", "issued_on", "serial"],
    )
    op.create_index(
        "ix_receipt_practice_id_issued_on_serial", "receipt", ["practice_id", "issued_on", "serial"]
    )
    create_table(
        "refund",
        *key(),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("payment_id", ID, nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("state", chosen("state", "REQUESTED PENDING SUCCEEDED FAILED"), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("invoice_id", ID, nullable=True),
        sa.Column("stripe_account", Word(), nullable=False),
        sa.Column("stripe_id", Word(), nullable=True),
        sa.Column("refunded_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.CheckConstraint("state = 'REQUESTED' OR stripe_id IS NOT NULL", name="known_has_an_id"),
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
        refers("invoice", "invoice_id", client=True),
        refers("payment", "payment_id", client=True),
        refers("client", "client_id"),
        sa.PrimaryKeyConstraint("practice_id", "id"),
        sa.UniqueConstraint("practice_id", "client_id", "id"),
        sa.UniqueConstraint("practice_id", "payment_id", "key"),
        sa.UniqueConstraint("practice_id", "stripe_account", "stripe_id"),
    )
    op.create_index("ix_refund_practice_id_payment_id", "refund", ["practice_id", "payment_id"])
    partial_index(
        "uq_refund_requested",
        "refund",
        ["practice_id", "payment_id"],
        "state = 'REQUESTED'",
        unique=True,
    )
    create_table(
        "allocation",
        *key(),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("invoice_id", ID, nullable=False),
        sa.Column("payment_id", ID, nullable=True),
        sa.Column("is_credit", sa.Boolean(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("refund_id", ID, nullable=True),
        sa.Column("dispute_id", ID, nullable=True),
        sa.CheckConstraint("amount_minor <> 0", name="amount_not_zero"),
        sa.CheckConstraint("is_credit OR payment_id IS NOT NULL", name="has_a_source"),
        sa.CheckConstraint("refund_id IS NULL OR dispute_id IS NULL", name="one_reversal"),
        refers("dispute", "dispute_id", client=True),
        refers("invoice", "invoice_id", client=True),
        refers("payment", "payment_id", client=True),
        refers("refund", "refund_id", client=True),
        refers("client", "client_id"),
        sa.PrimaryKeyConstraint("practice_id", "id"),
    )
    partial_index(
        "ix_allocation_dispute",
        "allocation",
        ["practice_id", "dispute_id"],
        "dispute_id IS NOT NULL",
    )
    op.create_index(
        "ix_allocation_practice_id_client_id", "allocation", ["practice_id", "client_id"]
    )
    op.create_index("ix_allocation_practice_id_date", "allocation", ["practice_id", "date"])
    op.create_index(
        "ix_allocation_practice_id_invoice_id", "allocation", ["practice_id", "invoice_id"]
    )
    op.create_index(
        "ix_allocation_practice_id_payment_id", "allocation", ["practice_id", "payment_id"]
    )
    create_table(
        "ledger_entry",
        *key(),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("posted_on", sa.Date(), nullable=False),
        sa.Column(
            "kind",
            chosen("kind", "SESSION CHARGE PAYMENT REFUND CREDIT ADJUSTMENT WRITE_OFF DISPUTE"),
            nullable=False,
        ),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("invoice_id", ID, nullable=True),
        sa.Column("session_id", ID, nullable=True),
        sa.Column("payment_id", ID, nullable=True),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("dispute_id", ID, nullable=True),
        sa.CheckConstraint(
            "(kind = 'DISPUTE') = (dispute_id IS NOT NULL)", name="dispute_is_named"
        ),
        sa.CheckConstraint("kind <> 'PAYMENT' OR amount_minor < 0", name="payment_lowers"),
        sa.CheckConstraint(
            "kind NOT IN ('PAYMENT', 'REFUND', 'DISPUTE') OR payment_id IS NOT NULL",
            name="money_is_a_payment",
        ),
        sa.CheckConstraint(
            "(kind IN ('SESSION', 'CHARGE', 'WRITE_OFF', 'ADJUSTMENT')) = (invoice_id IS NOT NULL)",
            name="charges_name_an_invoice",
        ),
        refers("dispute", "dispute_id", client=True),
        refers("invoice", "invoice_id", client=True),
        refers("payment", "payment_id", client=True),
        refers("session", "session_id", client=True),
        refers("client", "client_id"),
        sa.PrimaryKeyConstraint("practice_id", "id"),
    )
    op.create_index(
        "ix_ledger_entry_practice_id_client_id_posted_on_id",
        "ledger_entry",
        ["practice_id", "client_id", "posted_on", "id"],
    )
    op.create_index(
        "ix_ledger_entry_practice_id_posted_on_id",
        "ledger_entry",
        ["practice_id", "posted_on", "id"],
    )
    op.create_index("ix_ledger_entry_practice_id_date", "ledger_entry", ["practice_id", "date"])
    op.create_index(
        "ix_ledger_entry_practice_id_payment_id", "ledger_entry", ["practice_id", "payment_id"]
    )
    partial_index(
        "uq_ledger_entry_of_client",
        "ledger_entry",
        ["practice_id", "client_id", "kind", "reference"],
        "invoice_id IS NULL",
        unique=True,
    )
    partial_index(
        "uq_ledger_entry_of_invoice",
        "ledger_entry",
        ["practice_id", "invoice_id", "kind", "reference"],
        "invoice_id IS NOT NULL",
        unique=True,
    )
    create_recovery_tables()
    create_outbox_tables()
    for table in ("client", "contact"):
        op.create_index(f"ix_{table}_mailbox", table, ["mailbox"])
    due_on = sa.text(DUE_OR_NEVER)
    op.create_index("ix_invoice_due", "invoice", ["practice_id", due_on, "serial"])
    for table in APPEND_ONLY:
        set_append_only(table)
    for statement in TRIGGERS[op.get_context().dialect.name]:
        op.execute(statement)


def create_recovery_tables() -> None:
    """Create the tables of a restored database."""
    create_table(
        "installation",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name="one_row"),
        sa.PrimaryKeyConstraint("id"),
    )
    create_table(
        "recovery",
        *key(),
        sa.Column("restored_from", sa.Text(), nullable=False),
        sa.Column("restored_to", sa.Text(), nullable=False),
        sa.Column("began_at", Instant(), nullable=False),
        sa.Column("numbers_moved_at", Instant(), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        practice_reference(),
        sa.PrimaryKeyConstraint("practice_id", "id"),
    )
    partial_index("uq_recovery_open", "recovery", ["practice_id"], "ended_at IS NULL", unique=True)
    create_table(
        "unadopted_payment",
        *key(),
        sa.Column("stripe_account", Word, nullable=False),
        sa.Column("stripe_id", Word, nullable=False),
        sa.Column("received_minor", sa.BigInteger(), nullable=False),
        sa.Column("found_at", Instant(), nullable=False),
        sa.CheckConstraint("received_minor >= 0", name="received_positive"),
        practice_reference(),
        sa.PrimaryKeyConstraint("practice_id", "id"),
        sa.UniqueConstraint("practice_id", "stripe_account", "stripe_id"),
    )


def create_outbox_tables() -> None:
    """Create the tables of events for other systems."""
    create_table(
        "outbox_event",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", chosen("kind", EVENTS), nullable=False),
        sa.Column("row_id", ID, nullable=False),
        sa.Column("row_state", sa.Text(), nullable=False),
        sa.Column("occurred_at", Instant(), nullable=False),
        sa.CheckConstraint("version > 0", name="version_positive"),
        sa.CheckConstraint("position > 0", name="position_positive"),
        practice_reference(),
        sa.PrimaryKeyConstraint("practice_id", "version", "position"),
    )
    op.create_index(
        "ix_outbox_event_practice_id_row_id_version",
        "outbox_event",
        ["practice_id", "row_id", "version"],
    )
    create_table(
        "event_endpoint",
        *key(),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("secret_encrypted", sa.LargeBinary(), nullable=False),
        sa.Column("former_secret_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("former_until", Instant(), nullable=True),
        sa.Column("status", chosen("status", "ACTIVE PAUSED GONE"), nullable=False),
        sa.Column("after_version", sa.BigInteger(), nullable=False),
        sa.Column("after_position", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", Instant(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("attempted_at", Instant(), nullable=True),
        sa.Column("attempt_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("leased_until", Instant(), nullable=True),
        sa.CheckConstraint("after_version >= 0", name="version_positive"),
        sa.CheckConstraint("after_position >= 0", name="position_positive"),
        sa.CheckConstraint("failures >= 0", name="failures_positive"),
        sa.CheckConstraint(
            "(former_secret_encrypted IS NULL) = (former_until IS NULL)", name="former_secret_ends"
        ),
        *only_these("kinds", EVENTS.split()),
        practice_reference(),
        sa.PrimaryKeyConstraint("practice_id", "id"),
    )


def create_table(name: str, *items: sa.schema.SchemaItem) -> None:
    """Create a table with the checks of its columns, and with its policy."""
    columns = [item for item in items if isinstance(item, sa.Column)]
    op.create_table(name, *items, *column_checks(columns))
    for column in columns:
        if is_practice(name, column):
            set_policy(name, column.name)


def mailbox() -> sa.Column[str]:
    """Return the column that has an e-mail address as it is compared."""
    folded = sa.Computed(folded_email(sa.text("email")), persisted=True)
    return sa.Column("mailbox", ByCode, folded, nullable=True)


def key() -> list[sa.Column[str]]:
    return [sa.Column(name, ID, nullable=False) for name in ("practice_id", "id")]


def address() -> list[sa.Column[str]]:
    names = ("line1", "line2", "city", "region", "postal_code", "country")
    return [sa.Column(f"address_{name}", sa.Text(), nullable=True) for name in names]


def chosen(name: str, members: str) -> sa.Enum:
    """Return the type of a text column that a CHECK constraint holds to these names."""
    return sa.Enum(
        *members.split(), name=name, native_enum=False, create_constraint=True, length=32
    )


def partial_index(
    name: str, table: str, columns: list[str], where: str, *, unique: bool = False
) -> None:
    """Create an index of the rows for which a condition holds."""
    condition = sa.text(where)
    op.create_index(
        name, table, columns, unique=unique, postgresql_where=condition, sqlite_where=condition
    )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    if op.get_context().dialect.name == "postgresql":
        changed = (f"{table}_changed()" for table in VERSIONED)
        for function in (FUNCTION, "refuse_transition()", *changed, RENEW, RENEW_ALL):
            op.execute(f"DROP FUNCTION IF EXISTS {function}")
