"""Mutations by which a practice's programs enter clients, invoices, payments and credit."""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from identity.tokens import Subject
from models import AccessEntry, Client, ExternalReference, Invoice, LedgerEntry, Scope
from tests.support.books import assert_verified
from tests.support.portal import Portal, served
from tests.support.programs import (
    Program,
    external,
    invoice,
    key,
    money,
    mutation,
    payment,
    refused,
)

# The rules of entries, which no database decides: SQLite runs all of them.
NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
DOCUMENTED = Path(__file__).parents[2] / "docs" / "entries.md"
SEEDS = itertools.count(7_000)
INVOICE = """... on InvoiceEntered {
    invoice { id number status total { amount } amountDue { amount } isPastDue
        lines { description quantity amount { amount } } }
    client { balance { amount { amount } } } }"""
PAYMENT = """... on PaymentEntered {
    payment { id status amount { amount } allocations { amount { amount } } receipt { number } }
    client { balance { amount { amount } } } }"""
CLIENT = """... on ClientEntered {
    client { id name email dateOfBirth address { city } clinician { name }
        balance { amount { amount } } } }"""


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


# -- clients ---------------------------------------------------------------------------------------


async def test_client_is_added_changed_and_left_alone(program: Program) -> None:
    details: dict[str, Any] = {
        "externalId": key("c-1"),
        "name": "Zoë Brandnew",
        "email": "zoe@example.com",
        "dateOfBirth": "1990-04-01",
        "clinician": {"id": f"cln_{program.desk.clinician_id}"},
        "address": {"line1": "1 Pier", "city": "Portland", "postalCode": "04101", "country": "US"},
    }
    added = await program.enter("upsertClient", details, CLIENT)
    again = await program.enter("upsertClient", details, CLIENT)
    moved = await program.enter("upsertClient", details | {"email": "zb@example.com"}, CLIENT)
    assert [one["change"] for one in (added, again, moved)] == ["ENTERED", "UNCHANGED", "CHANGED"]
    assert added["client"] == again["client"]
    assert added["client"]["clinician"] == {"name": "Ruth Adeyemi"}
    assert moved["client"] == added["client"] | {"email": "zb@example.com"}
    assert len(await program.desk.rows(Client, name="Zoë Brandnew")) == 1


@pytest.mark.parametrize(
    ("wrong", "type_", "path"),
    [
        ({"name": " "}, "InvalidInput", "input.name"),
        ({"name": "A\u0007B"}, "InvalidInput", "input.name"),
        ({"email": "a@b, c@d"}, "InvalidInput", "input.email"),
        ({"dateOfBirth": "0202-01-01"}, "InvalidInput", "input.dateOfBirth"),
        ({"externalId": {"source": "", "id": "1"}}, "InvalidInput", "input.externalId.source"),
        ({"externalId": {"source": "e", "id": "x" * 201}}, "InvalidInput", "input.externalId.id"),
        ({"clinician": external("nobody")}, "NotFound", "input.clinician"),
        ({"clinician": {"id": "inv_1"}}, "InvalidInput", "input.clinician.id"),
        (
            {"address": {"line1": "", "city": "P", "postalCode": "1", "country": "US"}},
            "InvalidInput",
            "input.address.line1",
        ),
    ],
)
async def test_wrong_value_of_a_client_is_named(
    program: Program, wrong: dict[str, Any], type_: str, path: str
) -> None:
    details = {"externalId": key("c-2"), "name": "Zoë Brandnew"} | wrong
    await refused(program, "upsertClient", details, type_, path)


# -- invoices --------------------------------------------------------------------------------------


async def test_invoice_is_issued_once_and_read_in_the_same_response(program: Program) -> None:
    wanted = invoice(program, "i-1", "120.00", "-20.00", dueOn="2026-04-01")
    wanted["lines"][0] |= {"quantity": "1.5"}
    issued = await program.enter("issueInvoice", wanted, INVOICE)
    again = await program.enter("issueInvoice", wanted, INVOICE)
    assert (issued["change"], again["change"]) == ("ENTERED", "UNCHANGED")
    assert issued["invoice"] == again["invoice"]
    assert issued["invoice"]["total"] == {"amount": "160.00"}
    assert [line["quantity"] for line in issued["invoice"]["lines"]] == ["1.50", "1.00"]
    assert issued["client"]["balance"]["amount"] == {"amount": "160.00"}
    assert len(await program.desk.rows(Invoice)) == 1


async def test_same_invoice_at_the_same_time_is_issued_once(program: Program) -> None:
    wanted = invoice(program, "i-2", "75.00")
    answers = await asyncio.gather(*(program.enter("issueInvoice", wanted) for _ in range(8)))
    assert sorted(one["change"] for one in answers) == ["ENTERED", *["UNCHANGED"] * 7]
    assert len(await program.desk.rows(Invoice)) == 1


async def test_key_of_another_record_is_refused(program: Program) -> None:
    await program.enter("issueInvoice", invoice(program, "i-3", "75.00"))
    for changed in (
        invoice(program, "i-3", "75.01"),
        invoice(program, "i-3", "75.00", client={"id": await other_client(program)}),
    ):
        await refused(program, "issueInvoice", changed, "ChangedAfterEntry", "input.externalId")


async def test_same_key_for_two_clients_at_the_same_time_is_entered_for_one(
    program: Program,
) -> None:
    clients = [program.client, {"id": await other_client(program)}]
    wanted = [invoice(program, "i-4", "75.00", client=one) for one in clients]
    answers = await asyncio.gather(*(program.enter("issueInvoice", one) for one in wanted))
    assert sorted(one["__typename"] for one in answers) == ["ChangedAfterEntry", "InvoiceEntered"]
    assert len(await program.desk.rows(Invoice)) == 1


async def other_client(program: Program) -> str:
    answer = await program.enter(
        "upsertClient", {"externalId": key("other"), "name": "Ben Osei"}, CLIENT
    )
    return str(answer["client"]["id"])


async def test_session_stands_on_one_invoice(program: Program) -> None:
    session_id = await program.desk.session(150)
    line = {"session": {"id": f"ses_{session_id}"}}
    first = await program.enter("issueInvoice", invoice(program, "i-5") | {"lines": [line]})
    assert first["change"] == "ENTERED"
    for id_, lines in (("i-6", [line]), ("i-5b", [line, line])):
        wanted = invoice(program, id_) | {"lines": lines}
        type_ = "AlreadyInvoiced" if len(lines) == 1 else "InvalidInput"
        await refused(program, "issueInvoice", wanted, type_, "input.lines.session")
    await program.enter("voidInvoice", {"invoice": external("i-5")})
    again = await program.enter("issueInvoice", invoice(program, "i-6") | {"lines": [line]})
    assert again["change"] == "ENTERED"


async def test_invoice_is_voided_once(program: Program) -> None:
    await program.enter("issueInvoice", invoice(program, "i-7", "75.00"))
    await program.enter("recordPayment", payment(program, "p-7", "50.00"))
    void = {"invoice": external("i-7")}
    voided = await program.enter("voidInvoice", void, INVOICE)
    again = await program.enter("voidInvoice", void, INVOICE)
    assert (voided["change"], again["change"]) == ("CHANGED", "UNCHANGED")
    assert voided["invoice"]["status"] == "VOID"
    assert voided["client"]["balance"]["amount"] == {"amount": "-50.00"}


@pytest.mark.parametrize(
    ("wrong", "type_", "path"),
    [
        ({"lines": []}, "InvalidInput", "input.lines"),
        ({"lines": [{}]}, "InvalidInput", "input.lines.0.unitPrice"),
        (
            {"lines": [{"description": "x", "unitPrice": money("1.005")}]},
            "InvalidInput",
            "input.lines.0.unitPrice.amount",
        ),
        (
            {"lines": [{"description": "x", "unitPrice": money("1", "EUR")}]},
            "InvalidInput",
            "input.lines.0.unitPrice.currency",
        ),
        (
            {"lines": [{"description": "x", "unitPrice": money("1"), "quantity": "0.001"}]},
            "InvalidInput",
            "input.lines.0.quantity",
        ),
        (
            {"lines": [{"description": "x", "unitPrice": money("1"), "serviceCode": "1"}]},
            "InvalidInput",
            "input.lines.0.serviceCode",
        ),
        ({"lines": [{"session": external("none")}]}, "NotFound", "input.lines.0.session"),
        ({"client": external("none")}, "NotFound", "input.client"),
        ({"client": {"id": f"cli_{'0' * 8}-{'-'.join(['0' * 4] * 3)}-{'0' * 12}"}}, "NotFound",
         "input.client"),
        ({"issuedOn": "2026-03-16"}, "InvalidInput", "input.issuedOn"),
        ({"dueOn": "2026-03-14"}, "InvalidInput", "input.dueOn"),
        ({"number": "x" * 51}, "InvalidInput", "input.number"),
    ],
)  # fmt: skip
async def test_wrong_value_of_an_invoice_is_named(
    program: Program, wrong: dict[str, Any], type_: str, path: str
) -> None:
    wanted = invoice(program, "i-8", "1.00") | wrong
    await refused(program, "issueInvoice", wanted, type_, path)
    assert await program.desk.rows(Invoice) == []


async def test_number_is_given_once(program: Program) -> None:
    await program.enter("issueInvoice", invoice(program, "i-9", "1.00", number="A-1"))
    taken = invoice(program, "i-10", "1.00", number="A-1")
    await refused(program, "issueInvoice", taken, "NumberTaken", "input.number")


# -- payments and credit ---------------------------------------------------------------------------


async def test_payment_pays_the_oldest_invoice_and_the_rest_is_credit(program: Program) -> None:
    await program.enter("issueInvoice", invoice(program, "i-11", "75.00"))
    wanted = payment(program, "p-11", "100.00", method="CHECK", paidOn="2026-03-10")
    paid = await program.enter("recordPayment", wanted, PAYMENT)
    again = await program.enter("recordPayment", wanted, PAYMENT)
    assert (paid["change"], again["change"]) == ("ENTERED", "UNCHANGED")
    assert paid["payment"]["status"] == "SUCCEEDED"
    assert paid["payment"]["allocations"] == [{"amount": {"amount": "75.00"}}]
    assert paid["client"]["balance"]["amount"] == {"amount": "-25.00"}
    assert paid["payment"] == again["payment"]


async def test_portions_pay_the_invoices_in_the_order_given(program: Program) -> None:
    ids = []
    for id_, price in (("i-12", "10.00"), ("i-13", "20.00")):
        issued = await program.enter("issueInvoice", invoice(program, id_, price), INVOICE)
        ids.append(issued["invoice"]["id"])
    # One invoice is named by its key and the next by its id.
    portions = [
        {"invoice": external("i-12"), "amount": money("10.00")},
        {"invoice": {"id": ids[1]}, "amount": money("20.00")},
    ]
    wanted = payment(program, "p-12", "30.00", portions=portions)
    assert (await program.enter("recordPayment", wanted))["change"] == "ENTERED"
    for portion in portions:
        wanted = payment(program, "p-13", "5.00", portions=[portion | {"amount": money("1.00")}])
        await refused(program, "recordPayment", wanted, "ExceedsAmountDue", "input.portions")
    more = [{"invoice": {"id": ids[1]}, "amount": money("6.00")}]
    wanted = payment(program, "p-13", "5.00", portions=more)
    await refused(program, "recordPayment", wanted, "ExceedsPayment", "input.portions")


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"amount": money("0.00")}, "input.amount"),
        ({"amount": money("-1.00")}, "input.amount.amount"),
        ({"amount": money("9999999999999999")}, "input.amount.amount"),
        ({"method": "CREDIT"}, "input.method"),
        ({"paidOn": "2026-03-16"}, "input.paidOn"),
    ],
)
async def test_wrong_value_of_a_payment_is_named(
    program: Program, wrong: dict[str, Any], path: str
) -> None:
    wanted = payment(program, "p-14", "1.00") | wrong
    await refused(program, "recordPayment", wanted, "InvalidInput", path)
    assert await program.desk.rows(LedgerEntry) == []


async def test_credit_is_given_and_taken_back(program: Program) -> None:
    credit = {"client": program.client, "description": "Goodwill"}
    given = credit | {"externalId": key("c-20"), "amount": money("15.00")}
    answer = await program.enter("giveCredit", given, CLIENT)
    assert answer["client"]["balance"]["amount"] == {"amount": "-15.00"}
    taken = credit | {"externalId": key("c-21"), "amount": money("-15.01")}
    await refused(program, "giveCredit", taken, "ExceedsFunds", "input.amount")
    taken["amount"] = money("-15.00")
    answer = await program.enter("giveCredit", taken, CLIENT)
    assert answer["client"]["balance"]["amount"] == {"amount": "0.00"}


async def test_several_entries_of_one_operation_are_made_in_their_order(program: Program) -> None:
    query = """mutation Several($i: IssueInvoiceInput!, $p: RecordPaymentInput!) {
        issueInvoice(input: $i) { ... on InvoiceEntered { invoice { status } } }
        recordPayment(input: $p) { ... on PaymentEntered { change } }
        again: recordPayment(input: $p) { ... on PaymentEntered { change } } }"""
    answer = await program.answer(
        query, i=invoice(program, "i-15", "5.00"), p=payment(program, "p-15", "5.00")
    )
    assert answer["data"] == {
        "issueInvoice": {"invoice": {"status": "PAID"}},
        "recordPayment": {"change": "ENTERED"},
        "again": {"change": "UNCHANGED"},
    }


async def test_invoice_and_portions_exclude_each_other(program: Program) -> None:
    await program.enter("issueInvoice", invoice(program, "i-21", "5.00"))
    portion = {"invoice": external("i-21"), "amount": money("1.00")}
    both = {"invoice": external("i-21"), "portions": [portion]}
    wanted = payment(program, "p-21", "5.00", **both)
    await refused(program, "recordPayment", wanted, "InvalidInput", "input.portions")


async def test_documented_invoice_is_issued(program: Program) -> None:
    _, query, variables, answer = re.split("```(?:graphql|json)\n", DOCUMENTED.read_text())
    await program.enter("upsertClient", {"externalId": key("c-0031"), "name": "Zoë Brandnew"})
    given = json.loads(variables.partition("```")[0])
    answered = await program.answer(query.partition("```")[0], **given)
    assert answered == json.loads(answer.partition("```")[0])


# -- viewers and the audit log ---------------------------------------------------------------------


async def test_program_that_may_only_write_reads_nothing(program: Program) -> None:
    writer = await program.with_scopes(Scope.BILLING_WRITE)
    wanted = invoice(program, "i-16", "5.00")
    assert (await writer.enter("issueInvoice", wanted))["change"] == "ENTERED"
    answer = await writer.answer(mutation("issueInvoice", INVOICE), i=wanted)
    assert {one["extensions"]["scope"] for one in answer["errors"]} == {"billing:read", "phi:read"}
    viewer = await writer.answer("{ viewer { kind name scopes } }")
    assert viewer["data"]["viewer"] == {
        "kind": "INTEGRATION",
        "name": "test",
        "scopes": ["BILLING_WRITE"],
    }


async def test_only_integrations_write(program: Program) -> None:
    subject = Subject(program.desk.practice_id, client_id=program.desk.client_id)
    person = Program(program.portal, program.desk, await program.portal.token(subject))
    dashboard = await program.with_scopes(Scope.BILLING_READ, Scope.PHI_READ)
    for reader in (person, dashboard):
        answer = await reader.answer(mutation("issueInvoice"), i=invoice(program, "i-17", "5.00"))
        assert answer["errors"][0]["extensions"]["scope"] == "billing:write"
    assert await program.desk.rows(Invoice) == []


async def test_keys_of_another_practice_name_nothing(portal: Portal, program: Program) -> None:
    other = await Program.of_new_practice(portal, next(SEEDS))
    await other.enter("issueInvoice", invoice(other, "i-22", "5.00"))
    await other.enter("upsertClient", {"externalId": key("c-22"), "name": "Ben Osei"})
    void = {"invoice": external("i-22")}
    await refused(program, "voidInvoice", void, "NotFound", "input.invoice")
    wanted = invoice(program, "i-22", "5.00", client=external("c-22"))
    await refused(program, "issueInvoice", wanted, "NotFound", "input.client")
    # The same key is free in each practice.
    own = await program.enter("issueInvoice", invoice(program, "i-22", "6.00"))
    assert own["change"] == "ENTERED"
    for one in (program, other):
        assert (await one.enter("voidInvoice", void))["change"] == "CHANGED"
        assert [row["is_void"] for row in await one.desk.rows(Invoice)] == [True]


async def test_integration_pays_for_nobody(program: Program) -> None:
    await program.enter("issueInvoice", invoice(program, "i-18", "5.00"))
    pay = {
        "clientId": program.client["id"],
        "expectedAmount": money("5.00"),
        "source": {"credit": True},
        "idempotencyKey": "0123456789abcdef",
    }
    query = "mutation Pay($i: PayInput!) { pay(input: $i) { __typename } }"
    answer = await program.answer(query, i=pay)
    assert answer["data"]["pay"] == {"__typename": "NotAllowed"}


async def test_entry_is_audited_with_the_name_of_the_token(program: Program) -> None:
    await program.enter("issueInvoice", invoice(program, "i-19", "5.00"), INVOICE)
    # A repetition changes nothing, and reads the client whom the key alone names.
    void = {"invoice": external("i-19")}
    await program.enter("voidInvoice", void, INVOICE)
    await program.enter("voidInvoice", void, INVOICE)
    await program.portal.application.state.read_audit.flush()
    entries = await program.desk.rows(AccessEntry, client_id=program.desk.client_id)
    made = [(one["kind"], one["name"], one["action"], one["operation"]) for one in entries]
    by = ("INTEGRATION", "test")
    assert made[-3:] == [
        (*by, "CHANGE", "Enter"),
        (*by, "CHANGE", "Enter"),
        (*by, "READ", "Enter"),
    ]


async def test_references_are_those_of_the_writers(program: Program) -> None:
    await program.enter("issueInvoice", invoice(program, "i-20", "5.00"))
    (kept,) = await program.desk.rows(ExternalReference, external_id="i-20")
    assert (kept["source"], kept["kind"]) == ("ehr", "invoice")
