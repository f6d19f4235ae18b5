"""POST /ingest: records as NDJSON, in one transaction or not at all."""

import asyncio
import datetime as dt
import gzip
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest

from models import AccessEntry, Client, ContactRight, Invoice, LedgerEntry, Payment, Scope
from server.http import ingest
from tests.support.books import assert_verified
from tests.support.portal import Portal, served
from tests.support.programs import Program, key

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
SEEDS = itertools.count(9_000)
CLIENT = {"client": {"id": "c-1", "name": "Zoë Brandnew", "email": "zoe@example.com"}}
VISIT = {
    "session": {
        "id": "s-1",
        "client_id": "c-1",
        "date": "2026-03-02",
        "fee": 150,
        "description": "Psychotherapy",
        "service_code": "90834",
    }
}
INVOICE: dict[str, Any] = {
    "invoice": {
        "id": "i-1",
        "client_id": "c-1",
        "issued_on": "2026-03-03",
        "shared": True,
        "lines": [
            {"session_id": "s-1", "unit_price": "150.00"},
            {"description": "Letter", "unit_price": "20.5", "quantity": 2},
        ],
    }
}
PAYMENT = {
    "payment": {
        "id": "p-1",
        "client_id": "c-1",
        "paid_on": "2026-03-04",
        "amount": "100.00",
        "method": "CHECK",
        "allocations": [{"invoice_id": "i-1", "amount": "60.00"}],
    }
}


@pytest.fixture(scope="module")
async def portal(new_database: NewDatabase) -> AsyncIterator[Portal]:
    """Yield a portal whose books are whole at the end, as `portal verify` finds."""
    async with new_database() as url, served(url) as made:
        yield made
        await assert_verified(made.engine)


@pytest.fixture
async def program(portal: Portal) -> Program:
    return await Program.of_new_practice(portal, next(SEEDS))


def ndjson(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


async def send(
    program: Program, body: bytes, parameters: str = "?source=ehr", **headers: str
) -> httpx.Response:
    own = {"Authorization": f"Bearer {program.token}", "Content-Type": "application/x-ndjson"}
    return await program.portal.http.post(
        f"/ingest{parameters}", content=body, headers=own | headers
    )


async def test_records_are_entered_once(program: Program) -> None:
    body = ndjson(CLIENT, VISIT, INVOICE, PAYMENT)
    # The order of the lines is of no importance.
    first = await send(program, b"\n" + ndjson(PAYMENT, INVOICE, VISIT, CLIENT))
    assert (first.status_code, first.json()["imported"]) == (200, True), first.text
    assert first.json()["records"]["invoices"] == {"new": 1, "changed": 0, "same": 0}
    (invoice,) = await program.desk.rows(Invoice)
    assert invoice["total_minor"] == 191_00
    assert await program.desk.due(invoice["id"]) == 131_00
    again = await send(program, body)
    counts = again.json()["records"].values()
    assert {name for one in counts for name, count in one.items() if count} == {"same"}
    assert len(await program.desk.rows(Payment)) == 1


async def test_contacts_right_has_a_last_day(program: Program) -> None:
    own = {"id": "k-1", "client_id": "c-1", "name": "Gail Ahn", "email": "gail@example.com"}
    contact = own | {"relation": "PARENT", "sees_documents": True, "until": "2027-06-30"}
    answer = await send(program, ndjson(CLIENT, {"contact": contact}))
    assert answer.status_code == 200, answer.text
    (right,) = await program.desk.rows(ContactRight)
    assert right["until"] == dt.date(2027, 6, 30)


async def test_a_mutation_continues_with_the_records_of_a_body(program: Program) -> None:
    await send(program, ndjson(CLIENT, VISIT, INVOICE))
    void = {"invoice": {"externalId": key("i-1")}}
    assert (await program.enter("voidInvoice", void))["change"] == "CHANGED"
    told = "... on ClientEntered { client { email } }"
    details = {"externalId": key("c-1"), "name": "Zoë Brandnew", "email": "zb@example.com"}
    moved = await program.enter("upsertClient", details, told)
    assert (moved["change"], moved["client"]["email"]) == ("CHANGED", "zb@example.com")


async def test_a_fault_anywhere_enters_nothing(program: Program) -> None:
    stray = {"payment": PAYMENT["payment"] | {"client_id": "c-9"}}
    wrong = {"invoice": INVOICE["invoice"] | {"issued_on": "03/03/2026", "isuded_on": ""}}
    response = await send(program, ndjson(CLIENT, VISIT, wrong, stray))
    assert (response.status_code, response.json()["imported"]) == (422, False)
    faults = {(one["line"], one["column"], one["code"]) for one in response.json()["faults"]}
    assert faults >= {(3, "issued_on", "BAD_VALUE"), (3, "isuded_on", "UNKNOWN_COLUMN")}
    assert await program.desk.rows(Client, name="Zoë Brandnew") == []
    assert await program.desk.rows(LedgerEntry) == []


async def test_report_quotes_no_value(program: Program) -> None:
    """A program that may not read health information is told none."""
    writer = await program.with_scopes(Scope.BILLING_WRITE)
    await send(writer, ndjson(CLIENT, VISIT, INVOICE))
    other = {"invoice": INVOICE["invoice"] | {"notes": "Quökkà", "lines": [{"unit_price": "x"}]}}
    named = {"client": {"id": "Quökkà", "name": "Quökkà", "email": "Quökkà"}}
    for body in (ndjson(other), ndjson(named), ndjson({"Quökkà": {}}), ndjson(CLIENT, CLIENT)):
        response = await send(writer, body)
        assert response.status_code == 422
        assert not [one for one in ("Quökkà", "Brandnew", "zoe@") if one in response.text]


async def test_trial_is_rolled_back(program: Program) -> None:
    response = await send(program, ndjson(CLIENT), "?source=ehr&dryRun=true")
    assert (response.status_code, response.json()["imported"]) == (200, False)
    assert await program.desk.rows(Client, name="Zoë Brandnew") == []


async def test_change_is_audited_with_the_name_of_the_token(program: Program) -> None:
    await send(program, ndjson(CLIENT))
    (client,) = await program.desk.rows(Client, name="Zoë Brandnew")
    entries = await program.desk.rows(AccessEntry, client_id=client["id"])
    made = [(one["kind"], one["name"], one["action"], one["operation"]) for one in entries]
    assert made == [("INTEGRATION", "test", "CHANGE", "/ingest")]


async def test_records_of_another_practice_are_out_of_reach(
    portal: Portal, program: Program
) -> None:
    other = await Program.of_new_practice(portal, next(SEEDS))
    await send(other, ndjson(CLIENT, VISIT))
    response = await send(program, ndjson(INVOICE))
    assert response.status_code == 422, response.text
    assert await other.desk.rows(Invoice) == await program.desk.rows(Invoice) == []


DEEP = b'{"client":' + b"[" * 100_000
HOSTILE = {
    "empty": b"",
    "blank lines": b"\n" * 10_000,
    "no JSON": b"{\n",
    "no UTF-8": b'{"client": {"id": "\xff", "name": "x"}}',
    "a surrogate": rb'{"client": {"id": "c", "name": "\ud800"}}',
    "surrogates in every form": rb'{"session": {"id": "\ud800", "client_id": "\udfff", "fee": '
    rb'"\ud800", "date": "\ud800", "service_code": "\ud800", "starts_at": "\ud800"}}',
    "a NUL": rb'{"client": {"id": "c", "name": "a\u0000b"}}',
    "a list": b"[1]",
    "two fields": b'{"client": {}, "session": {}}',
    "no fields": b'{"client": 1}',
    "unknown": b'{"cliant": {}}',
    "deep": DEEP,
    "an object as a value": b'{"client": {"id": {"a": 1}, "name": ["x"]}}',
    "lines of text": b'{"invoice": {"id": "i", "lines": "many"}}',
    "lines without an invoice": b'{"invoice": {"lines": [{}, {"position": {}}]}}',
    "a huge number": b'{"session": {"fee": 1' + b"0" * 5_000 + b"}}",
    "NaN": b'{"session": {"fee": NaN}}',
    "one line of a megabyte": b'{"client": {"id": "' + b"x" * 2**20 + b'"}}',
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_body_is_refused_with_its_line(program: Program, name: str) -> None:
    response = await send(program, HOSTILE[name])
    assert response.status_code == 422, response.text[:500]
    assert response.json()["faults"][0]["file"] == "body"
    assert len(response.text) < 20_000


async def test_request_needs_the_scope_the_type_and_a_small_body(program: Program) -> None:
    reader = await program.with_scopes(Scope.BILLING_READ)
    bomb = gzip.compress(b" " * (ingest.LARGEST + 1))
    for response, status, code in (
        (await send(reader, ndjson(CLIENT)), 403, "SCOPE_REQUIRED"),
        (await send(program, b"{}", **{"Content-Type": "application/json"}), 415, None),
        (await send(program, b"x" * (ingest.LARGEST + 1)), 413, "TOO_LARGE"),
        (await send(program, bomb, **{"Content-Encoding": "gzip"}), 413, "TOO_LARGE"),
        (await send(program, b"{}", Authorization="Bearer cbp_no"), 401, "UNAUTHENTICATED"),
        (await send(program, b"{}", "?sauce=ehr"), 400, "BAD_REQUEST"),
        (await send(program, b"{}", "?source="), 400, "BAD_REQUEST"),
        (await send(program, b"{}", "?dryRun=yes"), 400, "BAD_REQUEST"),
    ):
        assert response.status_code == status, response.text
        found = response.json()["errors"][0]["extensions"]["code"]
        assert found == (code or "UNSUPPORTED_MEDIA_TYPE")
    assert (await program.portal.http.get("/ingest")).status_code == 405


async def test_process_answers_others_while_it_enters_records(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second body is put off, and every other request is answered."""
    clients = ({"client": {"id": f"n-{n}", "name": f"Client {n}"}} for n in range(2_000))
    is_begun = asyncio.Event()
    right = ingest.in_own_thread

    def begun(work: Callable[[], Any]) -> Any:
        is_begun.set()
        return right(work)

    monkeypatch.setattr(ingest, "in_own_thread", begun)
    first = asyncio.create_task(send(program, ndjson(*clients)))
    await is_begun.wait()
    second = await send(program, ndjson(CLIENT))
    read = await program.portal.ask("{ viewer { kind } }", program.token)
    assert not first.done()
    assert (second.status_code, "Retry-After" in second.headers) == (503, True)
    assert read.json()["data"]["viewer"]["kind"] == "INTEGRATION"
    assert (await first).json()["records"]["clients"]["new"] == 2_000
    assert (await send(program, ndjson(CLIENT))).status_code == 200
