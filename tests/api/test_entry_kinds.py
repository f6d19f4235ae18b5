"""Mutations by which a practice's programs enter contacts, sessions, corrections and documents."""

import datetime as dt
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from models import AccessEntry, Contact, ContactRight, LedgerEntry, Scope, Session, Statement
from tests.support.books import assert_verified
from tests.support.portal import Portal, served
from tests.support.programs import (
    Program,
    external,
    invoice,
    key,
    money,
    payment,
    refused,
)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
SEEDS = itertools.count(8_000)
INVOICE = """... on InvoiceEntered { invoice { status amountDue { amount } }
    client { balance { amount { amount } } } }"""
PAYMENT = "... on PaymentEntered { payment { refunded { amount } status } }"


@pytest.fixture(scope="module")
async def portal(new_database: NewDatabase) -> AsyncIterator[Portal]:
    """Yield a portal whose books are whole at the end, as `portal verify` finds."""
    async with new_database() as url, served(url) as made:
        yield made
        await assert_verified(made.engine)


@pytest.fixture
async def program(portal: Portal) -> Program:
    """Return a program of a practice of its own, in the module's database."""
    return await Program.of_new_practice(portal, next(SEEDS))


# -- contacts --------------------------------------------------------------------------------------


def contact(program: Program, **more: Any) -> dict[str, Any]:
    own = {"externalId": key("k-1"), "client": program.client, "name": "Gail Ahn"}
    rights = {"relation": "GUARDIAN", "seesDocuments": True, "canPay": False}
    return own | rights | more


async def test_contact_is_linked_changed_and_unlinked(program: Program) -> None:
    changes = []
    for wanted in (
        contact(program),
        contact(program),
        contact(program, canPay=True),
        contact(program, canPay=True, email="gail@example.com"),
        contact(program, canPay=True, email="gail@example.com", until="2027-06-30"),
        contact(program, canPay=True, email="gail@example.com", until="2027-06-30"),
    ):
        changes.append((await program.enter("linkContact", wanted))["change"])
    assert changes == ["ENTERED", "UNCHANGED", "CHANGED", "CHANGED", "CHANGED", "UNCHANGED"]
    (right,) = await program.desk.rows(ContactRight)
    assert (right["relation"], right["sees_documents"], right["can_pay"]) == (
        *("GUARDIAN", True, True),
    )
    assert right["until"] == dt.date(2027, 6, 30)
    (row,) = await program.desk.rows(Contact)
    assert (row["id"], row["email"]) == (right["contact_id"], "gail@example.com")
    unlink = {"client": program.client, "contact": key("k-1")}
    ended = [(await program.enter("unlinkContact", unlink))["change"] for _ in range(2)]
    assert ended == ["CHANGED", "UNCHANGED"]
    assert await program.desk.rows(ContactRight) == []
    entries = await program.desk.rows(AccessEntry, client_id=program.desk.client_id)
    assert {one["name"] for one in entries if one["operation"] == "Enter"} == {"test"}


async def test_contact_of_no_client_is_not_added(program: Program) -> None:
    nobody = contact(program, client=external("nobody"))
    await refused(program, "linkContact", nobody, "NotFound", "input.client")
    unknown = contact(program, client={"id": f"cli_{program.desk.clinician_id}"})
    await refused(program, "linkContact", unknown, "NotFound", "input.client")
    none = contact(program, seesDocuments=False)
    await refused(program, "linkContact", none, "InvalidInput", "input.canPay")
    assert await program.desk.rows(Contact) == []
    unlink = {"client": program.client, "contact": key("k-1")}
    await refused(program, "unlinkContact", unlink, "NotFound", "input.contact")
    unlink["contact"] = {"source": " ", "id": "k-1"}
    await refused(program, "unlinkContact", unlink, "InvalidInput", "input.contact.source")


async def test_client_is_archived_once(program: Program) -> None:
    told = "... on ClientEntered { client { archivedOn } }"
    days = []
    for archived_on in (None, None, "2026-03-01", "2026-03-01", None):
        wanted = {"client": program.client, "archivedOn": archived_on}
        answer = await program.enter("archiveClient", wanted, told)
        days.append((answer["change"], answer["client"]["archivedOn"]))
    assert days == [
        ("CHANGED", "2026-03-15"),
        ("UNCHANGED", "2026-03-15"),
        ("CHANGED", "2026-03-01"),
        ("UNCHANGED", "2026-03-01"),
        ("UNCHANGED", "2026-03-01"),
    ]
    later = {"client": program.client, "archivedOn": "2026-03-16"}
    await refused(program, "archiveClient", later, "InvalidInput", "input.archivedOn")
    nobody = {"client": external("nobody")}
    await refused(program, "archiveClient", nobody, "NotFound", "input.client")


async def test_client_is_restored_once(program: Program) -> None:
    told = "... on ClientEntered { client { archivedOn } }"
    wanted = {"client": program.client}
    await program.enter("archiveClient", wanted)
    answers = [await program.enter("restoreClient", wanted, told) for _ in range(2)]
    assert [one["change"] for one in answers] == ["CHANGED", "UNCHANGED"]
    assert {one["client"]["archivedOn"] for one in answers} == {None}
    await refused(
        program, "restoreClient", {"client": external("nobody")}, "NotFound", "input.client"
    )


async def test_two_records_of_a_client_are_merged_once(program: Program) -> None:
    await program.enter("upsertClient", {"externalId": key("c-2"), "name": "Ana Prieto"})
    await program.enter("issueInvoice", invoice(program, "i-1", "150.00"))
    told = "... on ClientEntered { client { archivedOn balance { amount { amount } } } }"
    wanted = {"client": program.client, "into": external("c-2")}
    answers = [await program.enter("mergeClients", wanted, told) for _ in range(2)]
    assert [one["change"] for one in answers] == ["CHANGED", "UNCHANGED"]
    surviving = {"archivedOn": None, "balance": {"amount": {"amount": "150.00"}}}
    assert [one["client"] for one in answers] == [surviving, surviving]
    for client, into, code, path in (
        (program.client, program.client, "InvalidInput", "input.into"),
        (program.client, external("nobody"), "NotFound", "input.into"),
        (external("nobody"), program.client, "NotFound", "input.client"),
        (external("c-2"), program.client, "InvalidInput", "input.into"),
    ):
        given = {"client": client, "into": into}
        await refused(program, "mergeClients", given, code, path)


# -- sessions --------------------------------------------------------------------------------------


def session(program: Program, id_: str = "s-1", **more: Any) -> dict[str, Any]:
    own = {"externalId": key(id_), "client": program.client, "date": "2026-03-10"}
    facts = {"description": "Psychotherapy", "fee": money("150.00"), "serviceCode": "90834"}
    return own | facts | more


async def test_session_is_recorded_and_invoiced_by_its_key(program: Program) -> None:
    told = """... on SessionEntered { session { date fee { amount } clinician { name } }
        client { balance { uninvoiced { amount } } } }"""
    begun: dict[str, Any] = {"startsAt": "2026-03-10T14:00:00Z", "durationMinutes": 45}
    recorded = await program.enter("recordSession", session(program, **begun), told)
    assert recorded["change"] == "ENTERED"
    assert recorded["session"] == {
        "date": "2026-03-10",
        "fee": {"amount": "150.00"},
        "clinician": {"name": "Ruth Adeyemi"},
    }
    assert recorded["client"] == {"balance": {"uninvoiced": {"amount": "150.00"}}}
    again = await program.enter("recordSession", session(program, **begun))
    assert again["change"] == "UNCHANGED"
    wanted = invoice(program, "i-1") | {"lines": [{"session": external("s-1")}]}
    issued = await program.enter("issueInvoice", wanted, INVOICE)
    assert issued["invoice"]["amountDue"] == {"amount": "150.00"}
    assert len(await program.desk.rows(Session)) == 1


@pytest.mark.parametrize(
    ("wrong", "type_", "path"),
    [
        ({"date": "2026-03-16"}, "InvalidInput", "input.date"),
        ({"fee": money("-1.00")}, "InvalidInput", "input.fee.amount"),
        ({"durationMinutes": 0}, "InvalidInput", "input.durationMinutes"),
        ({"serviceCode": "9083"}, "InvalidInput", "input.serviceCode"),
        ({"startsAt": "0001-01-01T00:00:00Z"}, "InvalidInput", "input.startsAt"),
        ({"clinician": external("nobody")}, "NotFound", "input.clinician"),
    ],
)
async def test_wrong_value_of_a_session_is_named(
    program: Program, wrong: dict[str, Any], type_: str, path: str
) -> None:
    await refused(program, "recordSession", session(program, **wrong), type_, path)
    assert await program.desk.rows(Session) == []


# -- corrections -----------------------------------------------------------------------------------


async def test_invoice_is_adjusted_and_written_off(program: Program) -> None:
    await program.enter("issueInvoice", invoice(program, "i-2", "100.00"))
    own = {"invoice": external("i-2"), "description": "Correction"}
    more = own | {"externalId": key("a-1"), "amount": money("20.00")}
    adjusted = await program.enter("adjustInvoice", more, INVOICE)
    assert adjusted["invoice"]["amountDue"] == {"amount": "120.00"}
    assert (await program.enter("adjustInvoice", more))["change"] == "UNCHANGED"
    less = own | {"externalId": key("a-2"), "amount": money("-120.01")}
    await refused(program, "adjustInvoice", less, "ExceedsAmountDue", "input.amount")
    part = {"invoice": external("i-2"), "externalId": key("w-1"), "amount": money("50.00")}
    assert (await program.enter("writeOff", part, INVOICE))["invoice"]["amountDue"] == {
        "amount": "70.00"
    }
    rest = {"invoice": external("i-2"), "externalId": key("w-2")}
    written_off = await program.enter("writeOff", rest, INVOICE)
    assert written_off["client"]["balance"]["amount"] == {"amount": "0.00"}
    # The same record again, although nothing is due any more.
    assert (await program.enter("writeOff", rest))["change"] == "UNCHANGED"
    another = rest | {"externalId": key("w-3")}
    await refused(program, "writeOff", another, "ExceedsAmountDue", "input.amount")
    await program.enter("voidInvoice", {"invoice": external("i-2")})
    await refused(program, "writeOff", another, "InvoiceIsVoid", "input.invoice")


async def test_credit_is_put_toward_an_invoice_once(program: Program) -> None:
    await program.enter("issueInvoice", invoice(program, "i-3", "100.00"))
    credit = {"client": program.client, "description": "Goodwill", "externalId": key("c-3")}
    await program.enter("giveCredit", credit | {"amount": money("60.00")})
    use = {"invoice": external("i-3"), "externalId": key("u-1"), "amount": money("40.00")}
    used = await program.enter("allocateCredit", use, INVOICE)
    again = await program.enter("allocateCredit", use, INVOICE)
    assert (used["change"], again["change"]) == ("ENTERED", "UNCHANGED")
    assert used["invoice"] == again["invoice"]
    assert used["invoice"] == {"status": "PARTIALLY_PAID", "amountDue": {"amount": "60.00"}}
    more = use | {"externalId": key("u-2")}
    await refused(program, "allocateCredit", more, "ExceedsFunds", "input.amount")


async def test_payment_is_refunded_once_and_its_invoice_is_due_again(program: Program) -> None:
    await program.enter("issueInvoice", invoice(program, "i-4", "100.00"))
    await program.enter("recordPayment", payment(program, "p-4", "100.00"))
    refund = {"payment": external("p-4"), "externalId": key("r-4"), "amount": money("30.00")}
    given = await program.enter("recordRefund", refund, PAYMENT)
    again = await program.enter("recordRefund", refund, PAYMENT)
    assert (given["change"], again["change"]) == ("ENTERED", "UNCHANGED")
    assert given["payment"]["refunded"] == again["payment"]["refunded"] == {"amount": "30.00"}
    more = refund | {"externalId": key("r-5"), "amount": money("70.01")}
    await refused(program, "recordRefund", more, "ExceedsPayment", "input.amount")
    early = more | {"amount": money("1.00"), "refundedOn": "2026-03-14"}
    await refused(program, "recordRefund", early, "InvalidInput", "input.refundedOn")
    await refused(
        program, "recordRefund", more | {"payment": external("p-5")}, "NotFound", "input.payment"
    )
    assert len(await program.desk.rows(LedgerEntry, kind="REFUND")) == 1


# -- documents -------------------------------------------------------------------------------------

FEBRUARY = {"periodStart": "2026-02-01", "periodEnd": "2026-02-28"}


async def test_statement_is_issued_unshared_and_shared(program: Program) -> None:
    wanted = {"externalId": key("t-1"), "client": program.client, **FEBRUARY, "isShared": False}
    told = """... on StatementEntered {
        statement { number periodEnd endingBalance { amount } } client { id } }"""
    issued = await program.enter("issueStatement", wanted, told)
    again = await program.enter("issueStatement", wanted, told)
    assert (issued["change"], again["change"]) == ("ENTERED", "UNCHANGED")
    assert issued["statement"] == again["statement"]
    share = {"statement": external("t-1")}
    shared = [(await program.enter("shareDocument", share))["change"] for _ in range(2)]
    assert shared == ["CHANGED", "UNCHANGED"]
    (statement,) = await program.desk.rows(Statement)
    assert statement["shared_at"] is not None
    late = wanted | {"externalId": key("t-2"), "periodEnd": "2026-03-15"}
    await refused(program, "issueStatement", late, "InvalidInput", "input.periodEnd")
    backward = wanted | {"externalId": key("t-2"), "periodEnd": "2026-01-31"}
    await refused(program, "issueStatement", backward, "InvalidInput", "input.periodEnd")
    await refused(
        program, "shareDocument", {"superbill": external("t-1")}, "NotFound", "input.superbill"
    )


async def test_superbill_is_issued_for_the_sessions_of_a_period(program: Program) -> None:
    clinician = {"id": f"cln_{program.desk.clinician_id}"}
    wanted = {
        "externalId": key("b-1"),
        "client": program.client,
        "clinician": clinician,
        "periodStart": "2026-03-01",
        "periodEnd": "2026-03-14",
        "placeOfService": "11",
        "modifiers": ["95"],
        "diagnoses": [{"code": "F41.1", "description": "Generalized anxiety disorder"}],
    }
    await refused(program, "issueSuperbill", wanted, "NotFound", "input.periodStart")
    await program.enter("recordSession", session(program, "s-2"))
    told = """... on SuperbillEntered {
        superbill { totalFee { amount } lines { cptCode modifiers } diagnoses { code } } }"""
    issued = await program.enter("issueSuperbill", wanted, told)
    assert issued["change"] == "ENTERED"
    assert issued["superbill"] == {
        "totalFee": {"amount": "150.00"},
        "lines": [{"cptCode": "90834", "modifiers": ["95"]}],
        "diagnoses": [{"code": "F41.1"}],
    }
    assert (await program.enter("issueSuperbill", wanted, told))["change"] == "UNCHANGED"
    twice = wanted | {"diagnoses": [{"code": "F41.1"}, {"code": "F41.1"}]}
    path = "input.diagnoses.1.code"
    await refused(program, "issueSuperbill", twice, "InvalidInput", path)
    invalid = {"modifiers": ["950"], "placeOfService": "1", "diagnoses": [{"code": "x"}]}
    for name, value in invalid.items():
        wrong = wanted | {"externalId": key("b-2"), name: value}
        await refused(program, "issueSuperbill", wrong, "InvalidInput", f"input.{name}")


async def test_program_that_may_only_write_enters_every_kind(program: Program) -> None:
    """Each answers what it has done, without a scope to read."""
    writer = await program.with_scopes(Scope.BILLING_WRITE)
    for field, wanted in (
        ("upsertClient", {"externalId": key("c-9"), "name": "Ben Osei"}),
        ("linkContact", contact(program)),
        ("recordSession", session(program, "s-9")),
        ("issueInvoice", invoice(program, "i-9", "5.00")),
        ("recordPayment", payment(program, "p-9", "5.00")),
        ("issueStatement", {"externalId": key("t-9"), "client": program.client, **FEBRUARY}),
    ):
        assert (await writer.enter(field, wanted))["change"] == "ENTERED"
