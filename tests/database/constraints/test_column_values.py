"""Values that columns admit, on both databases, after the migrations."""

import datetime as dt
import uuid
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Enum,
    literal_column,
)

from models import (
    AccessEntry,
    Allocation,
    CardSetup,
    Claim,
    Client,
    Clinician,
    Contact,
    ContactRight,
    Detachment,
    Dispute,
    DocumentCounter,
    DocumentKind,
    DocumentSchedule,
    EntryKind,
    EventEndpoint,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Letterhead,
    OutboxEvent,
    Payment,
    PaymentMethod,
    PaymentState,
    Practice,
    Refund,
    Row,
    Session,
    SignInLink,
    Statement,
    StripeCustomer,
    Superbill,
    SuperbillLine,
    Token,
    ViewerKind,
)
from tests.database.constraints.refusals import refused
from tests.support.factories import (
    DAY,
    DEFAULTS,
    LIMIT,
    NOON,
    Books,
    table,
)

DIGITS = [
    (Clinician, "npi", "1234567893"),
    (Letterhead, "npi", "1234567893"),
    (Letterhead, "tax_id_last4", "6789"),
    (PaymentMethod, "last4", "4242"),
    (Payment, "card_last4", "4242"),
    (SuperbillLine, "place_of_service", "11"),
]


@pytest.mark.parametrize(("row", "column", "right"), DIGITS)
async def test_text_of_digits_has_the_exact_length(
    every_row: Books, row: type[Row], column: str, right: str
) -> None:
    await every_row.change_all(row, **{column: right})
    wrong = [right[:-1], right + "1", right[:-1] + "x", " " + right[1:], right[:-1] + "٣", ""]
    for value in wrong:
        async with refused(every_row, "CHECK", f"ck_{row.__tablename__}_{column}_digits"):
            await every_row.change_all(row, **{column: value})


CHOICES = [
    (row, column)
    for row in DEFAULTS
    for column in table(row).columns
    # Entries of the audit log admit no change at all.
    if isinstance(column.type, Enum) and row is not AccessEntry
]


# Values that satisfy the other constraints when the enum's value is unknown to them.
FITTING = {
    "card_setup.state": {"payment_method_id": None},
    "ledger_entry.kind": {"invoice_id": None},
    "payment.state": {"paid_at": None},
    "token.kind": {"client_id": None, "contact_id": None},
}


@pytest.mark.parametrize(
    ("row", "column"), [pytest.param(*each, id=str(each[1])) for each in CHOICES]
)
async def test_enum_column_admits_only_its_values(
    every_row: Books, row: type[Row], column: Column[Any]
) -> None:
    """Use plain SQL, since SQLAlchemy would refuse the value before the database."""
    async with refused(every_row, "CHECK", f"ck_{row.__tablename__}_{column.name}"):
        unknown: dict[str, Any] = {column.name: literal_column("'OF_NO_KIND'")}
        await every_row.change_all(row, **unknown, **FITTING.get(str(column), {}))


AMOUNTS = [
    (row, column)
    for row in DEFAULTS
    for column in table(row).columns
    if column.name.endswith("_minor")
]


# A statement's amounts have to add up, so one amount alone cannot be too large.
ADDING_UP = {
    "beginning_minor": {"paid_minor": 1, "ending_minor": LIMIT - 1},
    "ending_minor": {"beginning_minor": LIMIT - 1, "invoiced_minor": 1},
    "invoiced_minor": {"paid_minor": 1, "ending_minor": LIMIT - 1},
    "paid_minor": {"invoiced_minor": 1, "ending_minor": 1 - LIMIT},
}


@pytest.mark.share(4)
@pytest.mark.parametrize(
    ("row", "column"), [pytest.param(*each, id=str(each[1])) for each in AMOUNTS]
)
@pytest.mark.parametrize("sign", [1, -1])
async def test_amounts_beyond_json_numbers_are_refused(
    every_row: Books, row: type[Row], column: Column[Any], sign: int
) -> None:
    values = {column.name: LIMIT}
    if row is Statement:
        values |= dict.fromkeys(ADDING_UP, 0) | ADDING_UP[column.name] | values
    # Some amounts may not be negative, and either constraint may be named first.
    constraint = "_exact" if sign > 0 else f"ck_{row.__tablename__}_"
    async with refused(every_row, "CHECK", constraint):
        await every_row.change_all(row, **{name: sign * amount for name, amount in values.items()})


@pytest.mark.parametrize(
    ("row", "column"),
    [(Invoice, "total_minor"), (LedgerEntry, "amount_minor"), (Allocation, "amount_minor")],
)
@pytest.mark.parametrize("amount", [LIMIT - 1, 1 - LIMIT])
async def test_largest_exact_amounts_are_accepted(
    every_row: Books, row: type[Row], column: str, amount: int
) -> None:
    await every_row.change_all(row, **{column: amount})
    assert await every_row.count(row, **{column: amount}) == await every_row.count(row)


FAMILIES, NOBODY = "charges_name_an_invoice", str(uuid.UUID(int=1))
CHARGES = (EntryKind.SESSION, EntryKind.CHARGE, EntryKind.WRITE_OFF, EntryKind.ADJUSTMENT)
OF_MONEY = {"kind": EntryKind.PAYMENT, "amount_minor": -1, "invoice_id": None}
OF_REFUND = {"kind": EntryKind.REFUND, "amount_minor": 1, "invoice_id": None}
REFUSED = {"state": "REFUSED", "payment_method_id": None}


@pytest.mark.parametrize(
    ("row", "values", "constraint"),
    [
        (ContactRight, {"sees_documents": False, "can_pay": False}, "some_right"),
        (Invoice, {"is_void": True}, "void_has_a_day"),
        (Invoice, {"voided_on": DAY}, "void_has_a_day"),
        (InvoiceLine, {"quantity_hundredths": 0}, "quantity_positive"),
        (SuperbillLine, {"units_hundredths": 0}, "units_positive"),
        (Session, {"fee_minor": -1}, "fee_positive"),
        (Payment, {"amount_minor": -1}, "amount_positive"),
        (Payment, {"paid_at": None}, "paid_has_a_time"),
        (Payment, {"state": PaymentState.PROCESSING}, "paid_has_a_time"),
        (Payment, {"state": PaymentState.FAILED, "paid_at": None}, "failed_has_a_reason"),
        (Allocation, {"amount_minor": 0}, "amount_not_zero"),
        (Allocation, {"payment_id": None}, "has_a_source"),
        (Claim, {"amount_minor": 0}, "amount_positive"),
        (Claim, {"amount_minor": -1}, "amount_positive"),
        (PaymentMethod, {"exp_month": 0}, "exp_month"),
        (PaymentMethod, {"exp_month": 13}, "exp_month"),
        (PaymentMethod, {"exp_year": 30}, "exp_year"),
        (Statement, {"ending_minor": 10001}, "sum"),
        (Statement, {"period_end": DAY - dt.timedelta(1)}, "period_in_order"),
        (Superbill, {"period_end": DAY - dt.timedelta(1)}, "period_in_order"),
        (DocumentCounter, {"last": -1}, "last_positive"),
        (DocumentCounter, {"prefix": "INV 1"}, "prefix_bounds"),
        (OutboxEvent, {"version": 0}, "version_positive"),
        (OutboxEvent, {"position": 0}, "position_positive"),
        (EventEndpoint, {"after_version": -1}, "version_positive"),
        (EventEndpoint, {"after_position": -1}, "position_positive"),
        (EventEndpoint, {"failures": -1}, "failures_positive"),
        (EventEndpoint, {"former_secret_encrypted": b"old"}, "former_secret_ends"),
        (EventEndpoint, {"kinds": ["INVOICE_LOST"]}, "kinds_known"),
        (DocumentSchedule, {"kind": DocumentKind.INVOICE}, "kind_is_of_a_month"),
        (DocumentSchedule, {"day_of_month": 0}, "day_of_every_month"),
        (DocumentSchedule, {"day_of_month": 29}, "day_of_every_month"),
        (Practice, {"days_until_due": -1}, "days_until_due_positive"),
        (Practice, {"currency": "DM"}, "currency_known"),
        (Practice, {"currency": "jpy"}, "currency_known"),
        (Practice, {"currency": "ZZZ"}, "currency_known"),
        (Practice, {"stripe_account": "acct_1\nacct_2"}, "stripe_account_bounds"),
        (Practice, {"stripe_account": ""}, "stripe_account_bounds"),
        (Token, {"scopes": ["PHI_READ", "ALL"]}, "scopes_known"),
        (Client, {"created_at": dt.datetime(1, 1, 1, tzinfo=dt.UTC)}, "created_at_bounds"),
        (Client, {"address_line1": "1 Harbor Lane"}, "address_whole"),
        (Client, {"merged_into": NOBODY}, "merged_is_archived"),
        (Letterhead, {"address_country": "US"}, "address_whole"),
        (Practice, {"address_city": "Portland"}, "address_whole"),
        (Superbill, {"address_postal_code": "04101"}, "address_whole"),
        (Token, {"kind": ViewerKind.DASHBOARD}, "one_subject"),
        (Token, {"kind": ViewerKind.CONTACT}, "one_subject"),
        (Token, {"client_id": None}, "one_subject"),
        (StripeCustomer, {"client_id": None}, "one_holder"),
        (Detachment, {"client_id": None}, "one_holder"),
        (PaymentMethod, {"is_shared": True, "removed_at": NOON}, "shared_is_kept"),
        (Token, {"scopes": ["BILLING_READ", "BILLING_WRITE"]}, "integration_writes"),
        (SignInLink, {"used_at": None}, "used_has_a_token"),
        # A charge names an invoice. Funds name none: allocations put them toward invoices.
        *[(LedgerEntry, {"kind": kind, "invoice_id": None}, FAMILIES) for kind in CHARGES],
        (LedgerEntry, {"kind": EntryKind.CREDIT}, FAMILIES),
        (LedgerEntry, {"kind": EntryKind.PAYMENT, "amount_minor": -1}, FAMILIES),
        (LedgerEntry, {"kind": EntryKind.REFUND}, FAMILIES),
        (LedgerEntry, {"kind": EntryKind.DISPUTE, "dispute_id": NOBODY}, FAMILIES),
        (LedgerEntry, OF_MONEY | {"payment_id": None}, "money_is_a_payment"),
        (LedgerEntry, OF_MONEY | {"amount_minor": 1}, "payment_lowers"),
        (LedgerEntry, OF_REFUND | {"payment_id": None}, "money_is_a_payment"),
        (LedgerEntry, {"kind": EntryKind.DISPUTE, "invoice_id": None}, "dispute_is_named"),
        (LedgerEntry, {"dispute_id": NOBODY}, "dispute_is_named"),
        (Allocation, {"dispute_id": NOBODY}, "one_reversal"),
        (CardSetup, {"payment_method_id": None}, "kept_is_a_card"),
        (CardSetup, {"state": "PREPARED"}, "kept_is_a_card"),
        (CardSetup, REFUSED, "refused_has_a_reason"),
        (CardSetup, {"stripe_id": None}, "ended_is_named"),
        (Refund, {"amount_minor": 0}, "amount_positive"),
        (Refund, {"stripe_id": None}, "known_has_an_id"),
        (Dispute, {"amount_minor": 0}, "amount_positive"),
    ],
)
async def test_inconsistent_row_is_refused(
    every_row: Books, row: type[Row], values: dict[str, Any], constraint: str
) -> None:
    async with refused(every_row, "CHECK", f"ck_{row.__tablename__}_{constraint}"):
        await every_row.change_all(row, **values)


ONE_ADDRESS = ("ana@example.com", " ana@example.com ", "a.b+c@d", "josé@пример.example", "o'b@x")
NOT_ONE_ADDRESS = (
    *(
        "a@x, evil@y",
        "a@x,evil@y",
        "a@x;evil@y",
        "Ana <a@x>",
        '"a"@x',
        "a@x evil@y",
        "a@x\nb",
        "a\t@x",
    ),
    *(
        "a@x\u00a0",
        "a@x\x7f",
        "@x",
        "a@",
        "a",
        "",
        " ",
        "a@b@c",
        "a(b)@x",
        "[a]@x",
        "a\\b@x",
        "a@x\u0085",
    ),
)


@pytest.mark.parametrize("row", [Client, Contact, Practice])
async def test_email_column_admits_exactly_one_address(every_row: Books, row: type[Row]) -> None:
    """With several addresses, a mail would go to another person as well."""
    for address in ONE_ADDRESS:
        await every_row.change_all(row, email=address)
    for address in NOT_ONE_ADDRESS:
        async with refused(every_row, "CHECK", f"ck_{row.__tablename__}_email_one_address"):
            await every_row.change_all(row, email=address)
