"""Rows that may exist once, on both databases, after the migrations."""

import uuid

import pytest
from sqlalchemy import (
    select,
)

from models import (
    ACTIVE_STATES,
    Claim,
    Contact,
    DocumentKind,
    EntryKind,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    PaymentMethod,
    PaymentState,
    Practice,
    PrintedDocument,
    Receipt,
    Refund,
    RefundState,
    Row,
    Session,
    SignInLink,
    Statement,
    StripeCustomer,
    Superbill,
    Token,
)
from tests.database.constraints.refusals import refused
from tests.support.factories import (
    DAY,
    NOON,
    Books,
)


async def test_client_has_at_most_one_default_card(books: Books) -> None:
    client = await books.client()
    await books.card(client, is_default=True)
    await books.card(client)
    await books.card(await books.client(), is_default=True)
    async with refused(books, "UNIQUE", "uq_payment_method_default"):
        await books.card(client, is_default=True)


async def test_each_holder_has_a_default_card_for_a_client(books: Books) -> None:
    client, other = await books.client(), await books.client()
    contact = await books.add(Contact)
    await books.card(client, is_default=True, fingerprint="same")
    await books.card(client, contact_id=contact, is_default=True, fingerprint="same")
    await books.card(other, contact_id=contact, is_default=True, fingerprint="same")
    await books.card(client, contact_id=await books.add(Contact), is_default=True)
    async with refused(books, "UNIQUE", "uq_payment_method_contact_default"):
        await books.card(client, contact_id=contact, is_default=True)
    async with refused(books, "UNIQUE", "uq_payment_method_contact_fingerprint"):
        await books.card(client, contact_id=contact, fingerprint="same")


async def test_contact_has_one_customer_in_an_account(books: Books) -> None:
    contact = await books.add(Contact)
    await books.add(StripeCustomer, contact_id=contact)
    await books.add(StripeCustomer, contact_id=contact, stripe_account="acct_2")
    await books.add(StripeCustomer, contact_id=await books.add(Contact))
    async with refused(books, "UNIQUE", "uq_stripe_customer_contact"):
        await books.add(StripeCustomer, contact_id=contact)


async def test_removed_card_can_not_be_the_default(books: Books) -> None:
    client = await books.client()
    await books.card(client, removed_at=NOON)
    async with refused(books, "CHECK", "ck_payment_method_default_is_kept"):
        await books.card(client, is_default=True, removed_at=NOON)


async def test_same_card_is_kept_once_and_may_be_added_again_after_removal(
    books: Books,
) -> None:
    client = await books.client()
    first = await books.card(client, fingerprint="same")
    async with refused(books, "UNIQUE", "uq_payment_method_fingerprint"):
        await books.card(client, fingerprint="same")
    await books.change(PaymentMethod, first, removed_at=NOON)
    await books.card(client, fingerprint="same")


async def test_sign_in_request_has_one_link_per_practice(books: Books) -> None:
    await books.add(SignInLink, nonce_hash="same")
    async with refused(books, "UNIQUE", "uq_sign_in_link_practice_id"):
        await books.add(SignInLink, nonce_hash="same")


@pytest.mark.parametrize("second", ACTIVE_STATES)
@pytest.mark.parametrize("first", ACTIVE_STATES)
async def test_client_has_at_most_one_active_payment(
    books: Books, first: PaymentState, second: PaymentState
) -> None:
    client = await books.client()
    await books.payment(client, first)
    await books.payment(await books.client(), second)
    async with refused(books, "UNIQUE", "uq_payment_active"):
        await books.payment(client, second)


async def test_client_may_have_many_finished_payments(books: Books) -> None:
    client = await books.client()
    at_rest = set(PaymentState) - set(ACTIVE_STATES)
    for state in [*at_rest, *at_rest, PaymentState.CREATED]:
        await books.payment(client, state)


async def test_session_is_on_one_valid_invoice(books: Books) -> None:
    client = await books.client()
    session = await books.add(Session, client_id=client)
    await books.invoice(client, session)
    async with refused(books, "UNIQUE", "uq_invoice_line_session"):
        await books.invoice(client, session)


async def test_voided_invoice_releases_its_sessions(books: Books) -> None:
    client = await books.client()
    session = await books.add(Session, client_id=client)
    first = await books.invoice(client, session)
    await books.change(Invoice, first, is_void=True, voided_on=DAY)
    assert await books.connection.scalar(select(InvoiceLine.is_void)) is True
    await books.invoice(client, session)
    async with refused(books, "UNIQUE", "uq_invoice_line_session"):
        await books.change(Invoice, first, is_void=False, voided_on=None)


async def test_lines_without_a_session_are_not_unique(books: Books) -> None:
    invoice = await books.invoice(await books.client())
    await books.line(invoice, None, position=1)
    await books.line(invoice, None, position=2)


async def test_line_is_as_void_as_its_invoice(books: Books) -> None:
    invoice = await books.invoice(await books.client())
    async with refused(books, "FOREIGN KEY", "fk_invoice_line_practice_id_invoice_id_is_void"):
        await books.line(invoice, None, is_void=True)


async def test_invoice_is_claimed_by_one_payment(books: Books) -> None:
    client = await books.client()
    invoice = await books.invoice(client)
    payment = await books.payment(client)
    claim = {"client_id": client, "payment_id": payment}
    await books.add(Claim, **claim, invoice_id=invoice)
    await books.add(Claim, **claim)
    async with refused(books, "UNIQUE", "uq_claim_practice_id_invoice_id"):
        await books.add(Claim, **claim, invoice_id=invoice)


async def test_payment_has_at_most_one_unfinished_refund(books: Books) -> None:
    client = await books.client()
    refund = {"client_id": client, "payment_id": await books.payment(client)}
    requested = {"state": RefundState.REQUESTED, "stripe_id": None}
    await books.add(Refund, **refund)
    await books.add(Refund, **refund, **requested)
    async with refused(books, "UNIQUE", "uq_refund_requested"):
        await books.add(Refund, **refund, **requested)


async def test_payment_has_one_receipt(books: Books) -> None:
    client = await books.client()
    payment = await books.payment(client)
    await books.add(Receipt, client_id=client, payment_id=payment)
    async with refused(books, "UNIQUE", "uq_receipt_practice_id_payment_id"):
        await books.add(Receipt, client_id=client, payment_id=payment)


@pytest.mark.parametrize("document", [Invoice, Statement, Superbill, Receipt])
async def test_document_number_is_unique_in_a_practice(books: Books, document: type[Row]) -> None:
    elsewhere = await Books.opened(books.connection)
    for practice in (books, elsewhere):
        await practice.document(document, serial=1)
    async with refused(books, "UNIQUE", f"uq_{document.__tablename__}_practice_id_serial"):
        await books.document(document, serial=1)


async def test_idempotency_key_is_unique_per_client(books: Books) -> None:
    client = await books.client()
    await books.payment(client, idempotency_key="k1")
    await books.payment(client, idempotency_key="k2")
    await books.payment(await books.client(), idempotency_key="k1")
    async with refused(books, "UNIQUE", "uq_payment_practice_id_client_id_idempotency_key"):
        await books.payment(client, idempotency_key="k1")


async def test_stripe_ids_are_unique_per_account(books: Books) -> None:
    client, elsewhere = await books.client(), await Books.opened(books.connection)
    for practice, owner in ((books, client), (elsewhere, await elsewhere.client())):
        await practice.card(owner, stripe_id="pm_1")
        await practice.payment(owner, stripe_id="pi_1")
    async with refused(books, "UNIQUE", "uq_payment_method_practice_id_stripe_account_stripe_id"):
        await books.card(client, stripe_id="pm_1")
    async with refused(books, "UNIQUE", "uq_payment_practice_id_stripe_account_stripe_id"):
        await books.payment(client, stripe_id="pi_1")
    await books.change_all(Practice, stripe_account="acct_1")
    async with refused(books, "UNIQUE", "uq_practice_stripe_account"):
        await elsewhere.change_all(Practice, stripe_account="acct_1")


async def test_ledger_entry_is_made_once(books: Books) -> None:
    client = await books.client()
    invoice = await books.invoice(client)
    of_client = {"client_id": client, "kind": EntryKind.CREDIT, "reference": "line 1"}
    of_invoice = of_client | {"kind": EntryKind.ADJUSTMENT, "invoice_id": invoice}
    await books.add(LedgerEntry, **of_client)
    await books.add(LedgerEntry, **of_invoice)
    async with refused(books, "UNIQUE", "uq_ledger_entry_of_client"):
        await books.add(LedgerEntry, **of_client)
    async with refused(books, "UNIQUE", "uq_ledger_entry_of_invoice"):
        await books.add(LedgerEntry, **of_invoice)


async def test_token_hash_is_unique_over_all_practices(books: Books) -> None:
    await books.add(Token, hash="same")
    elsewhere = await Books.opened(books.connection)
    async with refused(books, "UNIQUE", "uq_token_hash"):
        await elsewhere.add(Token, hash="same")


async def test_document_has_one_printed_form(books: Books) -> None:
    of = {"client_id": await books.client(), "document_id": str(uuid.uuid4())}
    await books.add(PrintedDocument, **of)
    await books.add(PrintedDocument, **of, is_void=True)
    await books.add(PrintedDocument, **of, kind=DocumentKind.RECEIPT)
    async with refused(books, "UNIQUE", "pk_printed_document"):
        await books.add(PrintedDocument, **of, content=b"another")
    async with refused(books, "CHECK", "ck_printed_document_void_is_an_invoice"):
        await books.add(PrintedDocument, **of, kind=DocumentKind.STATEMENT, is_void=True)
