"""A client's record as a ZIP file over HTTP: the contents, who gets it, and one at a time."""

import csv
import datetime as dt
import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from identity.tokens import Subject
from models import (
    READ_SCOPES,
    AccessEntry,
    Contact,
    ContactRight,
    PrintedDocument,
    Scope,
)
from server.http import client_record_lists
from tests.support.factories import NOON, Books
from tests.support.portal import Portal, served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
INVOICES = 3


@pytest.fixture(scope="module")
async def portal(new_database: NewDatabase) -> AsyncIterator[Portal]:
    async with new_database() as url, served(url) as it:
        async with it.engine.begin() as conn:
            books = Books(conn, it.practice_id)
            for serial in range(1, INVOICES + 1):
                shared = {"shared_at": NOON} if serial < INVOICES else {}
                number = {"serial": serial, "number": f"INV-{serial}"}
                await books.invoice(it.client_id, **number, **shared)
            await books.invoice(it.other_id, serial=9, number="INV-9", shared_at=NOON)
            await books.payment(it.client_id)
            payer = await books.add(Contact, name="Pat")
            await books.add(
                ContactRight,
                client_id=it.client_id,
                contact_id=payer,
                sees_documents=False,
                can_pay=True,
            )
            it.payer_id = payer  # type: ignore[attr-defined]
        yield it


async def get(portal: Portal, token: str | None, client: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    path = f"/record/{client or f'cli_{portal.client_id}'}.zip"
    return await portal.http.get(path, headers=headers)


async def unpacked(portal: Portal, token: str) -> zipfile.ZipFile:
    response = await get(portal, token)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/zip"
    assert "no-store" in response.headers["cache-control"]
    return zipfile.ZipFile(io.BytesIO(response.content))


async def contact(portal: Portal, id_: str) -> str:
    return await portal.token(Subject(portal.practice_id, contact_id=id_))


@pytest.mark.parametrize("size", [50, 1])
async def test_record_is_what_the_portal_shows(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(client_record_lists, "NODES_READ", size)
    archive = await unpacked(portal, await portal.token())
    record = json.loads(archive.read("record.json"))
    assert record["client"]["name"] == "Ana Prieto"
    assert sorted(one["number"] for one in record["invoices"]) == ["INV-1", "INV-2"]
    assert len(record["payments"]) == 1
    assert record.keys() == {"client", *(one.name for one in client_record_lists.LISTS)}
    sheet = csv.DictReader(io.StringIO(archive.read("invoices.csv").decode()))
    assert {row["number"] for row in sheet} == {"INV-1", "INV-2"}
    assert "type Client " in archive.read("schema.graphql").decode()
    papers = {name: archive.read(name) for name in archive.namelist() if name.endswith(".pdf")}
    assert papers.keys() == {f"documents/Invoice INV-{number}.pdf" for number in (1, 2)}
    async with portal.engine.connect() as conn:
        kept = (await conn.execute(PrintedDocument.__table__.select())).all()
    assert {row.content for row in kept} == {*papers.values()}


async def test_contact_gets_what_the_contact_sees(portal: Portal) -> None:
    archive = await unpacked(portal, await contact(portal, portal.guardian_id))
    assert len(json.loads(archive.read("record.json"))["invoices"]) == 2
    payer: Any = portal.payer_id  # type: ignore[attr-defined]
    archive = await unpacked(portal, await contact(portal, payer))
    record = json.loads(archive.read("record.json"))
    assert [name for name in archive.namelist() if name.endswith(".pdf")] == []
    assert {name: len(record[name]) for name in ("invoices", "statements", "receipts")} == {
        "invoices": 0,
        "statements": 0,
        "receipts": 0,
    }


async def test_record_ends_with_the_last_day_of_the_contacts_right(portal: Portal) -> None:
    token = await contact(portal, portal.guardian_id)
    right = update(ContactRight).where(ContactRight.contact_id == portal.guardian_id)
    for day, status in (("2026-03-15", 200), ("2026-03-14", 404)):
        async with portal.engine.begin() as conn:
            await conn.execute(right.values(until=dt.date.fromisoformat(day)))
        assert (await get(portal, token)).status_code == status
    async with portal.engine.begin() as conn:
        await conn.execute(right.values(until=None))


async def test_nobody_else_gets_a_record(portal: Portal) -> None:
    practice = Subject(portal.practice_id)
    programs = (READ_SCOPES, READ_SCOPES | {Scope.BILLING_WRITE})
    for scopes in programs:
        response = await get(portal, await portal.token(practice, scopes=scopes))
        assert (response.status_code, code(response)) == (404, "NOT_FOUND")
    token = await portal.token()
    other = await get(portal, token, f"cli_{portal.other_id}")
    assert (other.status_code, code(other)) == (404, "NOT_FOUND")
    assert (await get(portal, None)).status_code == 401
    assert (await get(portal, token, "cli_x")).status_code in (400, 404)
    lacking = await portal.token(scopes=frozenset({Scope.BILLING_READ}))
    response = await get(portal, lacking)
    assert (response.status_code, code(response)) == (400, "SCOPE_REQUIRED")


def code(response: httpx.Response) -> str:
    return str(response.json()["errors"][0]["extensions"]["code"])


class Running:
    """A record that is being made."""


async def test_token_has_one_record_at_a_time(portal: Portal) -> None:
    token, other = await portal.token(), await portal.token()
    (route,) = (one for one in portal.application.routes if "/record/" in getattr(one, "path", ""))
    records: Any = route.endpoint.__self__  # type: ignore[attr-defined]
    viewer = await records.exports.endpoint.authenticator.viewer(token, portal.clock())
    running = Running()
    records.running[viewer.token_id] = running
    response = await get(portal, token)
    assert (response.status_code, code(response)) == (429, "RATE_LIMITED")
    assert response.headers["retry-after"] == "30"
    assert (await get(portal, other)).status_code == 200
    del running
    assert (await get(portal, token)).status_code == 200
    assert not [*records.running]


async def test_record_is_in_the_audit_log(portal: Portal) -> None:
    await unpacked(portal, await portal.token())
    await portal.application.state.read_audit.flush()
    async with portal.engine.connect() as conn:
        entries = (await conn.execute(AccessEntry.__table__.select())).all()
    mine = [row for row in entries if row.client_id == portal.client_id]
    assert {row.operation for row in mine} >= {"Record"}
    assert "Invoice.document" in {name for row in mine for name in row.fields}
