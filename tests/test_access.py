"""The record of access: who looked at whose data or changed it, and that nothing takes it back."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError

from billing import access
from identity.tokens import Subject
from models import AccessEntry, ContactRight, PaymentMethod, Scope
from models.database import engine
from tests.card_forms import keep, make_default
from tests.paying import DECLINED, Paying, paying
from tests.portal import served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
ALL = frozenset(Scope)
LOG = """query Log($id: ID) { client(id: $id) { accessLog(first: 50) {
    nodes { at kind name action operation fields } totalCount } } }"""
BALANCE = "query Balance($id: ID) { client(id: $id) { name balance { amount { amount } } } }"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


async def entries(portal: Paying) -> list[Any]:
    """All that is recorded, once what waits is written; the oldest first."""
    await portal.record.flush()
    return sorted(await portal.all(AccessEntry), key=lambda entry: str(entry.id))


async def guardian(portal: Paying) -> str:
    return await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id))


async def dashboard(portal: Paying) -> str:
    return await portal.token(Subject(portal.practice_id), scopes=ALL)


# -- reads -----------------------------------------------------------------------------------------


async def test_a_read_is_recorded_with_who_what_when_and_from_where(portal: Paying) -> None:
    await portal.ask(BALANCE, portal.bearer)
    (entry,) = await entries(portal)
    assert entry.client_id == portal.client_id
    assert (entry.kind, entry.name, entry.operation) == ("CLIENT", "Ana Prieto", "Balance")
    assert entry.fields == ["Balance.amount", "Client.balance", "Client.name"]
    assert (entry.action, entry.arguments, entry.count) == ("READ", None, None)
    assert entry.at == portal.clock()
    assert entry.address_hash is not None
    assert "127.0.0.1" not in entry.address_hash


async def test_a_contacts_read_is_of_whom_they_asked_for(portal: Paying) -> None:
    token = await guardian(portal)
    await portal.ask(BALANCE, token, id=f"cli_{portal.other_id}")
    (entry,) = await entries(portal)
    assert (entry.client_id, entry.kind, entry.name) == (portal.other_id, "CONTACT", "Gail Ahn")
    await portal.ask("{ viewer { clients { name } } }", token)
    both = {portal.client_id, portal.other_id}
    assert {entry.client_id for entry in (await entries(portal))[1:]} == both


async def test_what_is_found_by_its_id_is_its_owners(portal: Paying) -> None:
    mine, theirs = await portal.invoice(100), await portal.invoice(100, portal.other_id)
    query = """query Nodes($id: ID!, $ids: [ID!]!) {
        node(id: $id) { ... on Invoice { number } } nodes(ids: $ids) { ... on Client { name } } }"""
    ids = [f"cli_{portal.other_id}", f"pra_{portal.practice_id}"]
    await portal.ask(query, await dashboard(portal), id=f"inv_{mine}", ids=ids)
    found = await entries(portal)
    assert {entry.client_id for entry in found} == {portal.client_id, portal.other_id}
    await portal.ask(query, await dashboard(portal), id=f"inv_{theirs}", ids=[])
    assert [entry.client_id for entry in await entries(portal)][2:] == [portal.other_id]


async def test_what_was_out_of_sight_was_not_read(portal: Paying) -> None:
    elsewhere = "inv_00000000-0000-7000-8000-000000000000"
    query = "query ($id: ID!) { node(id: $id) { ... on Invoice { number } } }"
    await portal.ask(query, await dashboard(portal), id=elsewhere)
    await portal.ask(BALANCE, await guardian(portal), id=elsewhere.replace("inv", "cli"))
    await portal.ask(BALANCE, portal.bearer, id=f"cli_{portal.other_id}")
    await portal.ask(query, await dashboard(portal), id="nonsense")
    found = await entries(portal)
    refused = [(one.kind, one.action, one.client_id, one.count) for one in found]
    kinds = ("DASHBOARD", "CONTACT", "CLIENT")
    # Of nobody's own: the other client isn't told who asked.
    assert refused == [(kind, "REFUSED", None, 1) for kind in kinds]
    assert found[0].arguments == f'{{"ids": ["{elsewhere}"]}}'
    assert found[0].fields == ["Invoice.number"]


NODES = """query Nodes($ids: [ID!]!) { nodes(ids: $ids) { id } }"""


@pytest.mark.parametrize(
    "query",
    [
        "query ($id: ID!) { node(id: $id) { id } }",
        "query ($id: ID!) { node(id: $id) { __typename } }",
        "query ($id: ID!) { node(id: $id) { ... on Practice { name } } }",
        "query ($id: ID!) { nodes(ids: [$id]) { id } }",
    ],
)
async def test_that_something_is_there_is_read(portal: Paying, query: str) -> None:
    id_ = f"inv_{await portal.invoice(100)}"
    await portal.ask(query, await dashboard(portal), id=id_)
    (entry,) = await entries(portal)
    assert (entry.client_id, entry.action) == (portal.client_id, "READ")
    assert entry.fields
    await portal.ask(query, await dashboard(portal), id=f"pra_{portal.practice_id}")
    assert len(await entries(portal)) == 1


async def test_a_count_of_clients_is_read(portal: Paying) -> None:
    query = "query ($name: String) { clients(search: $name) { totalCount } }"
    await portal.ask(query, await dashboard(portal), name="Prieto")
    (entry,) = await entries(portal)
    assert (entry.client_id, entry.fields) == (None, ["Query.clients"])
    assert json.loads(entry.arguments)["Query.clients"][0]["search"] == "Prieto"


async def test_a_contact_who_names_one_client_reads_the_own_one_too(portal: Paying) -> None:
    async with portal.engine.begin() as conn:
        mine = ContactRight.client_id == portal.other_id
        await conn.execute(delete(ContactRight).where(mine))
    query = "query ($id: ID!) { client { name } other: client(id: $id) { name } }"
    await portal.ask(query, await guardian(portal), id=f"cli_{portal.other_id}")
    found = [(one.client_id, one.action) for one in await entries(portal)]
    assert found == [(portal.client_id, "READ"), (None, "REFUSED")]


async def test_what_is_nobodys_is_not_recorded(portal: Paying) -> None:
    await portal.ask("{ practice { name clinicians { name } } viewer { name } }", portal.bearer)
    await portal.ask("{ __typename }", portal.bearer)
    await portal.ask("{ client { nothing } }", portal.bearer)
    assert await entries(portal) == []


async def test_a_read_of_the_whole_practice_is_one_entry_with_its_count(portal: Paying) -> None:
    for _ in range(3):
        await portal.invoice(100)
    query = """query Wide($range: DateRange) { practice { invoices(dateRange: $range) {
        nodes { number lines { description } } edges { node { id } } } } }"""
    given = {"range": {"gte": "2026-01-01"}}
    await portal.ask(query, await dashboard(portal), **given, unused="x" * 20_000)
    (entry,) = await entries(portal)
    assert (entry.client_id, entry.kind, entry.operation) == (None, "DASHBOARD", "Wide")
    assert entry.count == 3
    (arguments,) = json.loads(entry.arguments)["Practice.invoices"]
    assert arguments["dateRange"]["gte"] == "2026-01-01"
    await portal.ask(
        "{ clients(orderBy: {field: CREATED}) { nodes { id } } }", await dashboard(portal)
    )
    assert (await entries(portal))[1].count == 2


async def test_a_document_that_is_opened_is_recorded(portal: Paying) -> None:
    id_ = f"inv_{await portal.invoice(100)}"
    query = "query ($id: ID!) { node(id: $id) { ... on Invoice { document { printUrl } } } }"
    answer = await portal.ask(query, await guardian(portal), id=id_)
    url = answer.json()["data"]["node"]["document"]["printUrl"]
    path = url.partition("8000")[2]
    await portal.record.flush()
    assert (await portal.http.get(path)).status_code == 200
    asked, opened = await entries(portal)
    assert asked.fields == ["DocumentLink.printUrl", "Invoice.document"]
    assert (opened.operation, opened.fields) == ("Print", ["Invoice.document"])
    assert (opened.client_id, opened.name) == (portal.client_id, "Gail Ahn")
    assert (await portal.http.get(path[:-1])).status_code == 404
    assert len(await entries(portal)) == 2


async def test_the_same_read_again_is_no_other(portal: Paying) -> None:
    for _ in range(3):
        await portal.ask(BALANCE, portal.bearer)
    await portal.ask(BALANCE.replace("name", "phone"), portal.bearer)
    token = await guardian(portal)
    for id_ in (portal.client_id, portal.other_id, portal.client_id):
        await portal.ask(BALANCE, token, id=f"cli_{id_}")
    assert len(await entries(portal)) == 4
    await portal.ask(BALANCE, portal.bearer)
    assert len(await entries(portal)) == 5


# -- changes ---------------------------------------------------------------------------------------


async def test_paying_is_recorded_with_the_payment(portal: Paying) -> None:
    await portal.invoice(5_000)
    paid = await portal.pay(5_000, portal.card())
    assert paid["__typename"] == "PaySucceeded"
    # The change has the fields that its result was asked for, and is no read beside.
    (entry,) = await entries(portal)
    assert entry.action == "CHANGE"
    assert (entry.operation, entry.client_id, entry.kind) == ("Pay", portal.client_id, "CLIENT")


async def test_what_is_refused_changed_nothing(portal: Paying) -> None:
    await portal.invoice(5_000)
    refused = await portal.pay(4_000, portal.card())
    assert refused["__typename"] == "AmountChanged"
    # What it tells is read all the same.
    (read,) = await entries(portal)
    assert (read.action, read.operation, read.client_id) == ("READ", "Pay", portal.client_id)
    declined = await portal.pay(5_000, portal.card(DECLINED))
    assert declined["__typename"] == "CardDeclined"
    assert [one.action for one in await entries(portal)] == ["READ", "CHANGE"]


async def test_a_change_and_its_record_are_one_transaction(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise ConnectionError

    first = (await keep(portal))["paymentMethod"]["id"]
    second = (await keep(portal, "5555555555554444"))["paymentMethod"]["id"]
    before = len(await entries(portal))
    with monkeypatch.context() as patch:
        patch.setattr(access, "write", broken)
        query = """mutation M($id: ID!) {
            makeDefault(input: {paymentMethodId: $id}) { __typename } }"""
        answer = await portal.ask(query, portal.bearer, id=second)
    assert answer.status_code == 500
    (default,) = [card for card in await portal.all(PaymentMethod) if card.is_default]
    assert f"crd_{default.id}" == first
    await make_default(portal, second)
    changes = [one for one in (await entries(portal))[before:] if one.action == "CHANGE"]
    assert [one.client_id for one in changes] == [portal.client_id]


# -- reading the record ----------------------------------------------------------------------------


async def test_a_client_sees_who_looked(portal: Paying) -> None:
    await portal.ask(BALANCE, await guardian(portal), id=f"cli_{portal.client_id}")
    await portal.ask(BALANCE, await guardian(portal), id=f"cli_{portal.other_id}")
    await portal.record.flush()
    found = (await portal.ask(LOG, portal.bearer)).json()["data"]["client"]["accessLog"]
    assert found["totalCount"] == 1
    assert found["nodes"] == [
        {
            "at": "2026-03-15T12:00:00Z",
            "kind": "CONTACT",
            "name": "Gail Ahn",
            "action": "READ",
            "operation": "Balance",
            "fields": ["Balance.amount", "Client.balance", "Client.name"],
        }
    ]
    await portal.record.flush()
    again = (await portal.ask(LOG, portal.bearer)).json()["data"]["client"]["accessLog"]
    assert [node["operation"] for node in again["nodes"]] == ["Log", "Balance"]


async def test_names_in_the_record_are_health_information(portal: Paying) -> None:
    token = await portal.token(
        Subject(portal.practice_id), scopes=frozenset({Scope.BILLING_READ, Scope.DOCUMENTS_READ})
    )
    answer = await portal.ask(LOG, token, id=f"cli_{portal.client_id}")
    (error,) = answer.json()["errors"]
    assert "AccessLogEntry.name" in error["extensions"]["fields"]


# -- kept ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [update(AccessEntry).values(name="x"), delete(AccessEntry)])
async def test_the_database_takes_nothing_back(portal: Paying, change: Any) -> None:
    await portal.ask(BALANCE, portal.bearer)
    before = await entries(portal)
    with pytest.raises(DBAPIError, match=r"append only|permission denied"):
        async with portal.engine.begin() as rows:
            await rows.execute(change)
    assert await entries(portal) == before


async def test_what_can_not_be_written_now_is_kept(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise ConnectionError

    await portal.ask(BALANCE, portal.bearer)
    with monkeypatch.context() as patch, pytest.raises(ConnectionError):
        patch.setattr(access, "write", broken)
        await portal.record.flush()
    assert len(await entries(portal)) == 1


async def test_the_record_is_written_once_what_is_being_written_is(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, begun, may_end = access.write, asyncio.Event(), asyncio.Event()

    async def slow(*given: Any) -> None:
        begun.set()
        await may_end.wait()
        await write(*given)

    monkeypatch.setattr(access, "write", slow)
    await portal.ask(BALANCE, portal.bearer)
    first = asyncio.create_task(portal.record.flush())
    await begun.wait()
    second = asyncio.create_task(portal.record.flush())
    done, _ = await asyncio.wait([second], timeout=0.2)
    assert not done
    may_end.set()
    await second
    assert len(await portal.all(AccessEntry)) == 1
    await first


async def test_what_waits_is_written_when_the_server_ends(new_database: NewDatabase) -> None:
    async with new_database() as url:
        async with served(url) as portal:
            await portal.ask("{ client { name } }", await portal.token())
        writing = engine(url)
        async with writing.connect() as rows:
            found = (await rows.execute(AccessEntry.__table__.select())).all()
        await writing.dispose()
    assert len(found) == 1
