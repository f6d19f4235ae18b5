"""CSV exports of a practice: their rows, their scopes, and that no cell is a formula."""

import csv
import io
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from billing.csv_text import without_formula
from identity.token_keys import hashed
from identity.tokens import Subject
from models import READ_SCOPES, Client, ClientNamePart, Scope, Token
from server.http import export_tables
from server.http.exports import Exports
from tests.support.factories import Books
from tests.support.portal import KEY, Portal, served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
ALL = READ_SCOPES
NAMES = ("=cmd|'/c calc'!A1", "+1 Ana", "-Ana", "@Ana", "\tAna", 'Ana, "B"\nC', "王小明", "-1x")
INVOICES = 7


@pytest.fixture(scope="module")
async def portal(new_database: NewDatabase) -> AsyncIterator[Portal]:
    async with new_database() as url, served(url) as it:
        await fill(it)
        yield it


async def fill(portal: Portal) -> None:
    async with portal.engine.begin() as conn:
        books = Books(conn, portal.practice_id)
        for name in NAMES:
            await books.add(Client, name=name, email="=1+1@x.example")
        await books.add(ClientNamePart, client_id=portal.client_id, text="prieto")
        for serial in range(1, INVOICES + 1):
            await books.invoice(portal.client_id, serial=serial, number=f"INV-{serial}")
        await books.payment(portal.client_id)
        await books.payment(portal.other_id)


async def dashboard(portal: Portal, scopes: frozenset[Scope] = ALL) -> str:
    return await portal.token(Subject(portal.practice_id), scopes=scopes)


async def get(portal: Portal, path: str, token: str | None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await portal.http.get(f"/export/{path}", headers=headers)


async def table(portal: Portal, path: str, token: str | None = None) -> list[dict[str, str]]:
    response = await get(portal, path, token or await dashboard(portal))
    assert response.status_code == 200, response.text
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


async def listed(portal: Portal, query: str) -> list[Any]:
    """Return the nodes of the query's connection."""
    data = (await portal.ask(query, await dashboard(portal))).json()["data"]
    while "nodes" not in data:
        (data,) = data.values()
    found: list[Any] = data["nodes"]
    return found


@pytest.mark.parametrize("size", [500, 2])
async def test_file_has_the_values_of_the_api(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(export_tables, "PAGE", size)
    query = """{ practice { invoices(first: 500) { nodes { id number issuedOn status isPastDue
        total { amount currency } amountDue { amount } client { name } } } } }"""
    rows = await table(portal, "invoices.csv")
    nodes = await listed(portal, query)
    assert len(rows) == len(nodes) == INVOICES
    for row, node in zip(rows, nodes, strict=True):
        assert row["id"] == node["id"]
        assert row["number"] == node["number"]
        assert row["issued_on"] == node["issuedOn"]
        assert row["status"] == node["status"]
        assert row["is_past_due"] == str(node["isPastDue"]).lower()
        assert row["total"] == node["total"]["amount"]
        assert row["due"] == node["amountDue"]["amount"]
        assert row["currency"] == node["total"]["currency"]
        assert row["client_name"] == node["client"]["name"]


async def test_payments_and_clients_are_exported_too(portal: Portal) -> None:
    payments = await table(portal, "payments.csv")
    assert {row["client_id"] for row in payments} == {
        f"cli_{portal.client_id}",
        f"cli_{portal.other_id}",
    }
    assert {row["status"] for row in payments} == {"SUCCEEDED"}
    clients = await table(portal, "clients.csv")
    assert len(clients) == len(NAMES) + 2
    assert all(row["currency"] == "USD" for row in clients)


async def test_aging_is_exported_as_one_row(portal: Portal) -> None:
    query = "{ practice { aging { asOf total { amount currency } over90 { amount } } } }"
    answer = (await portal.ask(query, await dashboard(portal))).json()["data"]["practice"]["aging"]
    (row,) = await table(portal, "aging.csv")
    assert (row["as_of"], row["total"], row["currency"]) == (
        *(answer["asOf"], answer["total"]["amount"]),
        answer["total"]["currency"],
    )
    (row,) = await table(portal, "aging.csv?asOf=2026-01-31")
    assert row["as_of"] == "2026-01-31"
    refused = await get(portal, "aging.csv", await dashboard(portal, ALL - {Scope.AGGREGATES_READ}))
    assert (refused.status_code, code(refused)) == (400, "SCOPE_REQUIRED")


async def test_filters_are_those_of_the_api(portal: Portal) -> None:
    # The invoices have no ledger entries, so nothing is due.
    assert len(await table(portal, "invoices.csv?status=UNPAID&status=PAID")) == INVOICES
    assert await table(portal, "invoices.csv?status=UNPAID&status=VOID") == []
    day = (await table(portal, "invoices.csv"))[0]["issued_on"]
    assert len(await table(portal, f"invoices.csv?from={day}&to={day}")) == INVOICES
    assert await table(portal, "invoices.csv?from=2030-01-01") == []
    assert await table(portal, "invoices.csv?to=2000-01-01") == []
    (found,) = await table(portal, "clients.csv?search=prieto")
    assert found["name"] == "Ana Prieto"
    assert await table(portal, "clients.csv?withBalance=true") == []


async def test_no_cell_is_a_formula(portal: Portal) -> None:
    rows = await table(portal, "clients.csv")
    names = {row["name"] for row in rows}
    assert set(NAMES) <= {name.removeprefix("'") for name in names}
    for row in rows:
        for cell in row.values():
            assert not cell.startswith(("=", "+", "@", "\t", "\r"))
            assert not cell.startswith("-") or cell.lstrip("-").replace(".", "").isdigit()


def test_negative_number_is_not_quoted() -> None:
    assert [without_formula(text) for text in ("-12.50", "-1", "0", "-1e5", "--1", "+1")] == [
        *("-12.50", "-1", "0"),
        *("'-1e5", "'--1", "'+1"),
    ]


async def test_file_without_phi_scope_has_no_names(portal: Portal) -> None:
    token = await dashboard(portal, ALL - {Scope.PHI_READ})
    for path in ("invoices.csv", "payments.csv", "clients.csv"):
        response = await get(portal, path, token)
        assert response.status_code == 200
        assert "name" not in response.text
        assert "Ana" not in response.text
        assert response.headers["content-disposition"] == f'attachment; filename="{path}"'
    refused = await get(portal, "clients.csv?search=ana", token)
    assert (refused.status_code, code(refused)) == (400, "SCOPE_REQUIRED")


def code(response: httpx.Response) -> str:
    (error,) = response.json()["errors"]
    found: str = error["extensions"]["code"]
    return found


async def test_client_exports_only_own_rows(portal: Portal) -> None:
    other = Subject(portal.practice_id, client_id=portal.other_id)
    token = await portal.token(other)
    assert await table(portal, "invoices.csv", token) == []
    (payment,) = await table(portal, "payments.csv", token)
    assert payment["client_name"] == "Ben Osei"


@pytest.mark.parametrize("token", [None, "cbp_wrong"])
async def test_export_without_a_token_is_refused(portal: Portal, token: str | None) -> None:
    refused = await get(portal, "invoices.csv", token)
    assert (refused.status_code, code(refused)) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "path",
    [
        "invoices.csv?status=LATE",
        "invoices.csv?from=yesterday",
        "invoices.csv?pastDue=maybe",
        "invoices.csv?pastDue=true&pastDue=false",
        "invoices.csv?unknown=1",
        "invoices.csv?clinicianId=inv_1",
        "invoices.csv?from=2026-02-01&to=2026-01-01",
        "clients.csv?search=%00",
        "aging.csv?asOf=2999-01-01",
        "payments.csv?changedSince=x",
        "clients.csv?token=cbp_x",
    ],
)
async def test_invalid_parameters_are_refused(portal: Portal, path: str) -> None:
    refused = await get(portal, path, await dashboard(portal))
    assert refused.status_code == 400
    assert code(refused) in ("BAD_USER_INPUT", "BAD_INPUT", "BAD_ID", "BAD_RANGE")
    assert refused.headers["content-type"].startswith("application/json")


async def test_export_ends_early_when_its_token_is_revoked(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_tables, "PAGE", 2)
    token, right = await dashboard(portal), Exports.data

    async def revoking(*given: Any) -> Any:
        found = await right(*given)
        async with portal.engine.begin() as conn:
            condition = Token.hash == hashed(token, KEY)
            await conn.execute(update(Token).where(condition).values(revoked_at=portal.clock()))
        return found

    monkeypatch.setattr(Exports, "data", revoking)
    response = await get(portal, "invoices.csv", token)
    assert len(response.text.splitlines()) < INVOICES
