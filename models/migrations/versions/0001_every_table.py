"""Every table of the portal."""

import sqlalchemy as sa
from alembic import op

from models.row import ID, ByCode, Instant

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "practice",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("portal_url", sa.Text(), nullable=True),
        sa.Column("stripe_account", sa.Text(), nullable=True),
        sa.Column("clients_remove_cards", sa.Boolean(), nullable=False),
        *address(),
        address_whole("practice"),
        sa.CheckConstraint("length(currency) = 3", name=op.f("ck_practice_currency_iso")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_practice")),
        sa.UniqueConstraint("stripe_account", name=op.f("uq_practice_stripe_account")),
    )
    op.create_table(
        "clinician",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("credentials", sa.Text(), nullable=True),
        sa.Column("npi", sa.Text(), nullable=True),
        sa.Column("licence_number", sa.Text(), nullable=True),
        digits("clinician", "npi", 10),
        of_practice("clinician"),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f("pk_clinician")),
    )
    op.create_table(
        "contact",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        of_practice("contact"),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f("pk_contact")),
    )
    op.create_table(
        "document_counter",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("kind", choice("kind", "INVOICE STATEMENT SUPERBILL RECEIPT"), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("last >= 0", name=op.f("ck_document_counter_last_positive")),
        of_practice("document_counter"),
        sa.PrimaryKeyConstraint("practice_id", "kind", name=op.f("pk_document_counter")),
    )
    op.create_table(
        "letterhead",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("credentials", sa.Text(), nullable=True),
        sa.Column("npi", sa.Text(), nullable=True),
        sa.Column("licence_number", sa.Text(), nullable=True),
        sa.Column("tax_id_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("tax_id_last4", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        *address(),
        digits("letterhead", "npi", 10),
        digits("letterhead", "tax_id_last4", 4),
        address_whole("letterhead"),
        of_practice("letterhead"),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f("pk_letterhead")),
    )
    op.create_table(
        "client",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("folded_name", ByCode, nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("date_of_birth", sa.Date(), nullable=True),
        sa.Column("clinician_id", ID, nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("stripe_customer", sa.Text(), nullable=True),
        *address(),
        address_whole("client"),
        refers("client", "clinician", "clinician_id"),
        of_practice("client"),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f("pk_client")),
    )
    op.create_index(
        op.f("ix_client_practice_id_clinician_id"), "client", ["practice_id", "clinician_id"]
    )
    op.create_index(
        op.f("ix_client_practice_id_created_at_id"), "client", ["practice_id", "created_at", "id"]
    )
    op.create_index(
        op.f("ix_client_practice_id_folded_name_id"), "client", ["practice_id", "folded_name", "id"]
    )
    op.create_table(
        "client_name_part",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("text", ByCode, nullable=False),
        refers("client_name_part", "client", "client_id"),
        sa.PrimaryKeyConstraint(
            "practice_id", "client_id", "position", name=op.f("pk_client_name_part")
        ),
    )
    op.create_index(
        op.f("ix_client_name_part_practice_id_text"), "client_name_part", ["practice_id", "text"]
    )
    op.create_table(
        "contact_right",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("relation", choice("relation", "PARENT GUARDIAN PARTNER"), nullable=False),
        sa.Column("sees_documents", sa.Boolean(), nullable=False),
        sa.Column("can_pay", sa.Boolean(), nullable=False),
        sa.CheckConstraint("sees_documents OR can_pay", name=op.f("ck_contact_right_some_right")),
        refers("contact_right", "client", "client_id"),
        refers("contact_right", "contact", "contact_id"),
        sa.PrimaryKeyConstraint(
            "practice_id", "contact_id", "client_id", name=op.f("pk_contact_right")
        ),
    )
    op.create_index(
        op.f("ix_contact_right_practice_id_client_id"),
        "contact_right",
        ["practice_id", "client_id"],
    )
    op.create_table(
        "invoice",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
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
        exact("invoice", "total_minor"),
        sa.CheckConstraint(
            "is_void = (voided_on IS NOT NULL)", name=op.f("ck_invoice_void_has_a_day")
        ),
        refers("invoice", "client", "client_id"),
        refers("invoice", "clinician", "clinician_id"),
        refers("invoice", "letterhead", "letterhead_id"),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f("pk_invoice")),
        sa.UniqueConstraint(
            "practice_id", "client_id", "id", name=op.f("uq_invoice_practice_id_client_id_id")
        ),
        sa.UniqueConstraint(
            "practice_id", "id", "is_void", name=op.f("uq_invoice_practice_id_id_is_void")
        ),
        sa.UniqueConstraint("practice_id", "serial", name=op.f("uq_invoice_practice_id_serial")),
    )
    op.create_index(
        op.f("ix_invoice_practice_id_client_id_issued_on_serial"),
        "invoice",
        ["practice_id", "client_id", "issued_on", "serial"],
    )
    op.create_index(
        op.f("ix_invoice_practice_id_issued_on_serial"),
        "invoice",
        ["practice_id", "issued_on", "serial"],
    )
    op.create_index(
        op.f("ix_invoice_practice_id_clinician_id_issued_on_serial"),
        "invoice",
        ["practice_id", "clinician_id", "issued_on", "serial"],
    )
    op.create_index(
        "ix_invoice_due",
        "invoice",
        ["practice_id", sa.text("coalesce(due_on, '9999-12-31')"), "serial"],
    )
    op.create_table(
        "payment_method",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("stripe_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column(
            "brand",
            choice("brand", "VISA MASTERCARD AMEX DISCOVER DINERS JCB UNIONPAY OTHER"),
            nullable=False,
        ),
        sa.Column("last4", sa.Text(), nullable=False),
        sa.Column("exp_month", sa.Integer(), nullable=False),
        sa.Column("exp_year", sa.Integer(), nullable=False),
        sa.Column("cardholder_name", sa.Text(), nullable=True),
        sa.Column("billing_zip", sa.Text(), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("added_at", Instant(), nullable=False),
        sa.Column("consent_version", sa.Text(), nullable=False),
        sa.Column("consented_at", Instant(), nullable=False),
        sa.Column("removed_at", Instant(), nullable=True),
        digits("payment_method", "last4", 4),
        sa.CheckConstraint(
            "NOT is_default OR removed_at IS NULL", name=op.f("ck_payment_method_default_is_kept")
        ),
        sa.CheckConstraint("exp_month BETWEEN 1 AND 12", name=op.f("ck_payment_method_exp_month")),
        sa.CheckConstraint(
            "exp_year BETWEEN 2000 AND 2200", name=op.f("ck_payment_method_exp_year")
        ),
        refers("payment_method", "client", "client_id"),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f("pk_payment_method")),
        sa.UniqueConstraint(
            "practice_id",
            "client_id",
            "id",
            name=op.f("uq_payment_method_practice_id_client_id_id"),
        ),
        sa.UniqueConstraint(
            "practice_id", "stripe_id", name=op.f("uq_payment_method_practice_id_stripe_id")
        ),
    )
    op.create_index(
        op.f("ix_payment_method_practice_id_client_id_added_at_id"),
        "payment_method",
        ["practice_id", "client_id", "added_at", "id"],
    )
    op.create_index(
        "uq_payment_method_default",
        "payment_method",
        ["practice_id", "client_id"],
        unique=True,
        postgresql_where=sa.text("is_default AND removed_at IS NULL"),
        sqlite_where=sa.text("is_default AND removed_at IS NULL"),
    )
    op.create_index(
        "uq_payment_method_fingerprint",
        "payment_method",
        ["practice_id", "client_id", "fingerprint"],
        unique=True,
        postgresql_where=sa.text("removed_at IS NULL"),
        sqlite_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "session",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("clinician_id", ID, nullable=True),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("starts_at", Instant(), nullable=True),
        sa.Column("duration_minutes", sa.Integer(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("service_code", sa.Text(), nullable=True),
        sa.Column("fee_minor", sa.BigInteger(), nullable=False),
        exact("session", "fee_minor"),
        sa.CheckConstraint("fee_minor >= 0", name=op.f("ck_session_fee_positive")),
        refers("session", "client", "client_id"),
        refers("session", "clinician", "clinician_id"),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f("pk_session")),
        sa.UniqueConstraint(
            "practice_id", "client_id", "id", name=op.f("uq_session_practice_id_client_id_id")
        ),
    )
    op.create_index(
        op.f("ix_session_practice_id_client_id_date_id"),
        "session",
        ["practice_id", "client_id", "date", "id"],
    )
    op.create_table(
        "statement",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
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
        exact("statement", "beginning_minor"),
        exact("statement", "ending_minor"),
        exact("statement", "invoiced_minor"),
        exact("statement", "paid_minor"),
        sa.CheckConstraint(
            "ending_minor = beginning_minor + invoiced_minor - paid_minor",
            name=op.f("ck_statement_sum"),
        ),
        sa.CheckConstraint("period_start <= period_end", name=op.f("ck_statement_period_in_order")),
        refers("statement", "client", "client_id"),
        refers("statement", "letterhead", "letterhead_id"),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f("pk_statement")),
        sa.UniqueConstraint("practice_id", "serial", name=op.f("uq_statement_practice_id_serial")),
    )
    op.create_index(
        op.f("ix_statement_practice_id_client_id_issued_on_serial"),
        "statement",
        ["practice_id", "client_id", "issued_on", "serial"],
    )
    op.create_table(
        "superbill",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("letterhead_id", ID, nullable=False),
        sa.Column("client_name", sa.Text(), nullable=False),
        sa.Column("client_date_of_birth", sa.Date(), nullable=True),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("period_end", sa.Date(), nullable=False),
        sa.Column("shared_at", Instant(), nullable=True),
        *address(),
        address_whole("superbill"),
        sa.CheckConstraint("period_start <= period_end", name=op.f("ck_superbill_period_in_order")),
        refers("superbill", "client", "client_id"),
        refers("superbill", "letterhead", "letterhead_id"),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f("pk_superbill")),
        sa.UniqueConstraint("practice_id", "serial", name=op.f("uq_superbill_practice_id_serial")),
    )
    op.create_index(
        op.f("ix_superbill_practice_id_client_id_issued_on_serial"),
        "superbill",
        ["practice_id", "client_id", "issued_on", "serial"],
    )
    op.create_table(
        "token",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", choice("kind", "CLIENT CONTACT DASHBOARD"), nullable=False),
        sa.Column("client_id", ID, nullable=True),
        sa.Column("contact_id", ID, nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'CLIENT') = (client_id IS NOT NULL) AND"
            " (kind = 'CONTACT') = (contact_id IS NOT NULL)",
            name=op.f("ck_token_one_subject"),
        ),
        refers("token", "client", "client_id"),
        refers("token", "contact", "contact_id"),
        of_practice("token"),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f("pk_token")),
        sa.UniqueConstraint("hash", name=op.f("uq_token_hash")),
    )
    op.create_table(
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
        exact("invoice_line", "amount_minor"),
        exact("invoice_line", "unit_price_minor"),
        sa.CheckConstraint(
            "quantity_hundredths > 0", name=op.f("ck_invoice_line_quantity_positive")
        ),
        sa.ForeignKeyConstraint(
            ["practice_id", "invoice_id", "is_void"],
            ["invoice.practice_id", "invoice.id", "invoice.is_void"],
            name=op.f("fk_invoice_line_practice_id_invoice_id_is_void"),
            onupdate="CASCADE",
            ondelete="RESTRICT",
        ),
        refers("invoice_line", "session", "session_id"),
        sa.PrimaryKeyConstraint(
            "practice_id", "invoice_id", "position", name=op.f("pk_invoice_line")
        ),
    )
    op.create_index(
        "uq_invoice_line_session",
        "invoice_line",
        ["practice_id", "session_id"],
        unique=True,
        postgresql_where=sa.text("NOT is_void"),
        sqlite_where=sa.text("NOT is_void"),
    )
    op.create_table(
        "payment",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("invoice_id", ID, nullable=True),
        sa.Column(
            "method", choice("method", "CARD CASH CHECK BANK_TRANSFER CREDIT OTHER"), nullable=False
        ),
        sa.Column(
            "state",
            choice(
                "state", "CREATED CONFIRMING REQUIRES_ACTION PROCESSING SUCCEEDED FAILED CANCELED"
            ),
            nullable=False,
        ),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("payment_method_id", ID, nullable=True),
        sa.Column(
            "card_brand",
            choice("card_brand", "VISA MASTERCARD AMEX DISCOVER DINERS JCB UNIONPAY OTHER"),
            nullable=True,
        ),
        sa.Column("card_last4", sa.Text(), nullable=True),
        sa.Column(
            "failure_reason",
            choice(
                "failure_reason",
                "GENERIC INSUFFICIENT_FUNDS EXPIRED_CARD INCORRECT_CVC"
                " INCORRECT_ZIP AUTHENTICATION_FAILED",
            ),
            nullable=True,
        ),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("stripe_id", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("created_on", sa.Date(), nullable=False),
        sa.Column("paid_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "(state = 'SUCCEEDED') = (paid_at IS NOT NULL)", name=op.f("ck_payment_paid_has_a_time")
        ),
        digits("payment", "card_last4", 4),
        sa.CheckConstraint(
            "state <> 'FAILED' OR failure_reason IS NOT NULL",
            name=op.f("ck_payment_failed_has_a_reason"),
        ),
        exact("payment", "amount_minor"),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_payment_amount_positive")),
        refers("payment", "invoice", "client_id", "invoice_id"),
        refers("payment", "payment_method", "client_id", "payment_method_id"),
        refers("payment", "client", "client_id"),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f("pk_payment")),
        sa.UniqueConstraint(
            "practice_id", "client_id", "id", name=op.f("uq_payment_practice_id_client_id_id")
        ),
        sa.UniqueConstraint(
            "practice_id",
            "client_id",
            "idempotency_key",
            name=op.f("uq_payment_practice_id_client_id_idempotency_key"),
        ),
        sa.UniqueConstraint(
            "practice_id", "stripe_id", name=op.f("uq_payment_practice_id_stripe_id")
        ),
    )
    op.create_index(
        op.f("ix_payment_practice_id_client_id_created_on_id"),
        "payment",
        ["practice_id", "client_id", "created_on", "id"],
    )
    op.create_index(
        op.f("ix_payment_practice_id_created_on_id"), "payment", ["practice_id", "created_on", "id"]
    )
    op.create_index(
        op.f("ix_payment_practice_id_state_created_on_id"),
        "payment",
        ["practice_id", "state", "created_on", "id"],
    )
    op.create_index(
        "uq_payment_active",
        "payment",
        ["practice_id", "client_id"],
        unique=True,
        postgresql_where=sa.text(
            "state IN ('CREATED', 'CONFIRMING', 'REQUIRES_ACTION', 'PROCESSING')"
        ),
        sqlite_where=sa.text("state IN ('CREATED', 'CONFIRMING', 'REQUIRES_ACTION', 'PROCESSING')"),
    )
    op.create_table(
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
        exact("statement_line", "balance_after_minor"),
        exact("statement_line", "invoiced_minor"),
        exact("statement_line", "paid_minor"),
        refers("statement_line", "statement", "statement_id"),
        sa.PrimaryKeyConstraint(
            "practice_id", "statement_id", "position", name=op.f("pk_statement_line")
        ),
    )
    op.create_table(
        "superbill_diagnosis",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("superbill_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        refers("superbill_diagnosis", "superbill", "superbill_id"),
        sa.PrimaryKeyConstraint(
            "practice_id", "superbill_id", "position", name=op.f("pk_superbill_diagnosis")
        ),
    )
    op.create_table(
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
        digits("superbill_line", "place_of_service", 2),
        exact("superbill_line", "fee_minor"),
        exact("superbill_line", "paid_minor"),
        sa.CheckConstraint("units_hundredths > 0", name=op.f("ck_superbill_line_units_positive")),
        refers("superbill_line", "session", "session_id"),
        refers("superbill_line", "superbill", "superbill_id"),
        sa.PrimaryKeyConstraint(
            "practice_id", "superbill_id", "position", name=op.f("pk_superbill_line")
        ),
    )
    op.create_table(
        "allocation",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("invoice_id", ID, nullable=False),
        sa.Column("payment_id", ID, nullable=True),
        sa.Column("is_credit", sa.Boolean(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        exact("allocation", "amount_minor"),
        sa.CheckConstraint("amount_minor <> 0", name=op.f("ck_allocation_amount_not_zero")),
        sa.CheckConstraint(
            "is_credit OR payment_id IS NOT NULL", name=op.f("ck_allocation_has_a_source")
        ),
        refers("allocation", "invoice", "client_id", "invoice_id"),
        refers("allocation", "payment", "client_id", "payment_id"),
        refers("allocation", "client", "client_id"),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f("pk_allocation")),
    )
    op.create_index(
        op.f("ix_allocation_practice_id_client_id"), "allocation", ["practice_id", "client_id"]
    )
    op.create_index(
        op.f("ix_allocation_practice_id_invoice_id"), "allocation", ["practice_id", "invoice_id"]
    )
    op.create_index(
        op.f("ix_allocation_practice_id_payment_id"), "allocation", ["practice_id", "payment_id"]
    )
    op.create_table(
        "claim",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("payment_id", ID, nullable=False),
        sa.Column("invoice_id", ID, nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        exact("claim", "amount_minor"),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_claim_amount_positive")),
        refers("claim", "invoice", "client_id", "invoice_id"),
        refers("claim", "payment", "client_id", "payment_id"),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f("pk_claim")),
        sa.UniqueConstraint(
            "practice_id", "invoice_id", name=op.f("uq_claim_practice_id_invoice_id")
        ),
    )
    op.create_index(op.f("ix_claim_practice_id_payment_id"), "claim", ["practice_id", "payment_id"])
    op.create_table(
        "ledger_entry",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column(
            "kind",
            choice("kind", "SESSION CHARGE PAYMENT REFUND CREDIT ADJUSTMENT WRITE_OFF"),
            nullable=False,
        ),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("invoice_id", ID, nullable=True),
        sa.Column("session_id", ID, nullable=True),
        sa.Column("payment_id", ID, nullable=True),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "kind <> 'PAYMENT' OR amount_minor < 0", name=op.f("ck_ledger_entry_payment_lowers")
        ),
        sa.CheckConstraint(
            "kind <> 'REFUND' OR amount_minor > 0", name=op.f("ck_ledger_entry_refund_raises")
        ),
        sa.CheckConstraint(
            "kind NOT IN ('PAYMENT', 'REFUND') OR payment_id IS NOT NULL",
            name=op.f("ck_ledger_entry_money_is_a_payment"),
        ),
        sa.CheckConstraint(
            "kind NOT IN ('PAYMENT', 'REFUND', 'CREDIT') OR invoice_id IS NULL",
            name=op.f("ck_ledger_entry_money_is_allocated"),
        ),
        sa.CheckConstraint(
            "kind NOT IN ('SESSION', 'CHARGE') OR invoice_id IS NOT NULL",
            name=op.f("ck_ledger_entry_charge_is_invoiced"),
        ),
        exact("ledger_entry", "amount_minor"),
        refers("ledger_entry", "invoice", "client_id", "invoice_id"),
        refers("ledger_entry", "payment", "client_id", "payment_id"),
        refers("ledger_entry", "session", "client_id", "session_id"),
        refers("ledger_entry", "client", "client_id"),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f("pk_ledger_entry")),
    )
    op.create_index(
        op.f("ix_ledger_entry_practice_id_client_id_date_id"),
        "ledger_entry",
        ["practice_id", "client_id", "date", "id"],
    )
    op.create_index(
        op.f("ix_ledger_entry_practice_id_payment_id"),
        "ledger_entry",
        ["practice_id", "payment_id"],
    )
    op.create_index(
        "uq_ledger_entry_of_client",
        "ledger_entry",
        ["practice_id", "client_id", "kind", "reference"],
        unique=True,
        postgresql_where=sa.text("invoice_id IS NULL"),
        sqlite_where=sa.text("invoice_id IS NULL"),
    )
    op.create_index(
        "uq_ledger_entry_of_invoice",
        "ledger_entry",
        ["practice_id", "invoice_id", "kind", "reference"],
        unique=True,
        postgresql_where=sa.text("invoice_id IS NOT NULL"),
        sqlite_where=sa.text("invoice_id IS NOT NULL"),
    )
    op.create_table(
        "receipt",
        sa.Column("practice_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("payment_id", ID, nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("issued_at", Instant(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        exact("receipt", "amount_minor"),
        refers("receipt", "payment", "client_id", "payment_id"),
        refers("receipt", "client", "client_id"),
        sa.PrimaryKeyConstraint("practice_id", "id", name=op.f("pk_receipt")),
        sa.UniqueConstraint(
            "practice_id", "payment_id", name=op.f("uq_receipt_practice_id_payment_id")
        ),
        sa.UniqueConstraint("practice_id", "serial", name=op.f("uq_receipt_practice_id_serial")),
    )
    op.create_index(
        op.f("ix_receipt_practice_id_client_id_issued_on_serial"),
        "receipt",
        ["practice_id", "client_id", "issued_on", "serial"],
    )


def downgrade() -> None:
    for table in (
        "receipt",
        "ledger_entry",
        "claim",
        "allocation",
        "superbill_line",
        "superbill_diagnosis",
        "statement_line",
        "payment",
        "invoice_line",
        "token",
        "superbill",
        "statement",
        "session",
        "payment_method",
        "invoice",
        "contact_right",
        "client_name_part",
        "client",
        "letterhead",
        "document_counter",
        "contact",
        "clinician",
        "practice",
    ):
        op.drop_table(table)


# -- columns and constraints that many tables have -------------------------------------------------


def address() -> list[sa.Column[str]]:
    parts = ("line1", "line2", "city", "region", "postal_code", "country")
    return [sa.Column(f"address_{part}", sa.Text(), nullable=True) for part in parts]


def address_whole(table: str) -> sa.CheckConstraint:
    needed = ("line1", "city", "postal_code", "country")
    absent = " AND ".join(f"address_{part} IS NULL" for part in needed)
    present = " AND ".join(f"address_{part} IS NOT NULL" for part in needed)
    return sa.CheckConstraint(f"({absent}) OR ({present})", name=op.f(f"ck_{table}_address_whole"))


def choice(name: str, members: str) -> sa.Enum:
    return sa.Enum(
        *members.split(), name=name, native_enum=False, create_constraint=True, length=32
    )


def digits(table: str, column: str, length: int) -> sa.CheckConstraint:
    return sa.CheckConstraint(
        f"length({column}) = {length} AND ltrim({column}, '0123456789') = ''",
        name=op.f(f"ck_{table}_{column}_digits"),
    )


def exact(table: str, column: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(
        f"abs({column}) < 9007199254740992", name=op.f(f"ck_{table}_{column}_exact")
    )


def of_practice(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["practice_id"],
        ["practice.id"],
        name=op.f(f"fk_{table}_practice_id"),
        ondelete="RESTRICT",
    )


def refers(table: str, target: str, *columns: str) -> sa.ForeignKeyConstraint:
    """A foreign key within the practice, whose last column is the target's id."""
    shared = ["practice_id", *columns[:-1]]
    return sa.ForeignKeyConstraint(
        ["practice_id", *columns],
        [f"{target}.{column}" for column in (*shared, "id")],
        name=op.f("_".join(("fk", table, "practice_id", *columns))),
        ondelete="RESTRICT",
    )
