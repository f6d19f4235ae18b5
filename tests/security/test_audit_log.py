"""Audit log of access: entries of reads and changes, and that no entry is changed or deleted."""

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError

from billing import audit_log
from identity.tokens import Subject
from models import READ_SCOPES, AccessEntry, ContactRight, PaymentMethod, Scope
from models.database import engine
from tests.support.card_forms import keep, make_default
from tests.support.payments import DECLINED, Paying, paying
from tests.support.portal import served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
ALL = READ_SCOPES
LOG = """query Log($id: ID) { client(id: $id) { accessLog(first: 50) {
    nodes { at kind name action operation fields } totalCount } } }"""
BALANCE = "query Balance($id: ID) { client(id: $id) { name balance { amount { amount } } } }"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


async def entries(portal: Paying) -> list[Any]:
    """Write the pending entries, and return all of them, the oldest first."""
    await portal.read_audit.flush()
    return sorted(await portal.all(AccessEntry), key=lambda entry: str(entry.id))


async def guardian(portal: Paying) -> str:
    return await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id))


async def dashboard(portal: Paying) -> str:
    return await portal.token(Subject(portal.practice_id), scopes=ALL)


# -- reads -----------------------------------------------------------------------------------------


async def test_read_entry_has_reader_time_fields_and_hashed_address(portal: Paying) -> None:
    await portal.ask(BALANCE, portal.bearer)
    (entry,) = await entries(portal)
    assert entry.client_id == portal.client_id
    assert (entry.kind, entry.name, entry.operation) == ("CLIENT", "Ana Prieto", "Balance")
    assert entry.fields == ["Balance.amount", "Client.balance", "Client.name"]
    assert (entry.action, entry.arguments, entry.count) == ("READ", None, None)
    assert entry.at == portal.clock()
    assert entry.address_hash is not None
    assert "127.0.0.1" not in entry.address_hash


async def test_contacts_read_is_entered_for_the_client_that_was_read(portal: Paying) -> None:
    token = await guardian(portal)
    await portal.ask(BALANCE, token, id=f"cli_{portal.other_id}")
    (entry,) = await entries(portal)
    assert (entry.client_id, entry.kind, entry.name) == (portal.other_id, "CONTACT", "Gail Ahn")
    await portal.ask("{ viewer { clients { name } } }", token)
    both = {portal.client_id, portal.other_id}
    assert {entry.client_id for entry in (await entries(portal))[1:]} == both


async def test_read_by_node_id_is_entered_for_the_owner_of_the_row(portal: Paying) -> None:
    mine, theirs = await portal.invoice(100), await portal.invoice(100, portal.other_id)
    query = """query Nodes($id: ID!, $ids: [ID!]!) {
        node(id: $id) { ... on Invoice { number } } nodes(ids: $ids) { ... on Client { name } } }"""
    ids = [f"cli_{portal.other_id}", f"pra_{portal.practice_id}"]
    await portal.ask(query, await dashboard(portal), id=f"inv_{mine}", ids=ids)
    found = await entries(portal)
    assert {entry.client_id for entry in found} == {portal.client_id, portal.other_id}
    await portal.ask(query, await dashboard(portal), id=f"inv_{theirs}", ids=[])
    assert [entry.client_id for entry in await entries(portal)][2:] == [portal.other_id]


async def test_read_of_invisible_rows_is_entered_as_refused(portal: Paying) -> None:
    elsewhere = "inv_00000000-0000-7000-8000-000000000000"
    query = "query ($id: ID!) { node(id: $id) { ... on Invoice { number } } }"
    await portal.ask(query, await dashboard(portal), id=elsewhere)
    await portal.ask(BALANCE, await guardian(portal), id=elsewhere.replace("inv", "cli"))
    await portal.ask(BALANCE, portal.bearer, id=f"cli_{portal.other_id}")
    await portal.ask(query, await dashboard(portal), id="nonsense")
    found = await entries(portal)
    refused = [(one.kind, one.action, one.client_id, one.count) for one in found]
    kinds = ("DASHBOARD", "CONTACT", "CLIENT")
    # Refusals belong to no client, so the other client does not see the reader in its own log.
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
async def test_existence_of_a_row_alone_is_entered_as_a_read(portal: Paying, query: str) -> None:
    id_ = f"inv_{await portal.invoice(100)}"
    await portal.ask(query, await dashboard(portal), id=id_)
    (entry,) = await entries(portal)
    assert (entry.client_id, entry.action) == (portal.client_id, "READ")
    assert entry.fields
    await portal.ask(query, await dashboard(portal), id=f"pra_{portal.practice_id}")
    assert len(await entries(portal)) == 1


async def test_count_of_clients_is_entered_with_its_search(portal: Paying) -> None:
    query = "query ($name: String) { clients(search: $name) { totalCount } }"
    await portal.ask(query, await dashboard(portal), name="Prieto")
    (entry,) = await entries(portal)
    assert (entry.client_id, entry.fields) == (None, ["Query.clients"])
    assert json.loads(entry.arguments)["Query.clients"][0]["search"] == "Prieto"


async def test_contact_refused_one_client_is_entered_for_the_own_client_too(portal: Paying) -> None:
    async with portal.engine.begin() as conn:
        condition = ContactRight.client_id == portal.other_id
        await conn.execute(delete(ContactRight).where(condition))
    query = "query ($id: ID!) { client { name } other: client(id: $id) { name } }"
    await portal.ask(query, await guardian(portal), id=f"cli_{portal.other_id}")
    found = [(one.client_id, one.action) for one in await entries(portal)]
    assert found == [(portal.client_id, "READ"), (None, "REFUSED")]


async def test_client_of_an_ended_right_is_not_entered_as_read(portal: Paying) -> None:
    former = ContactRight.client_id == portal.other_id
    async with portal.engine.begin() as conn:
        await conn.execute(update(ContactRight).where(former).values(until=dt.date(2026, 3, 15)))
    # Midnight of New York is four hours later than that of UTC.
    portal.clock.time = dt.datetime(2026, 3, 16, 3, 59, 59, tzinfo=dt.UTC)
    token = await guardian(portal)
    listed = "{ viewer { clients { name } } }"
    by_id = "query ($id: ID!) { client(id: $id) { name } }"
    seen = []
    for _ in range(2):
        before = len(await entries(portal))
        await portal.ask(listed, token)
        await portal.ask(by_id, token, id=f"cli_{portal.other_id}")
        new = (await entries(portal))[before:]
        seen.append(sorted((str(one.client_id), str(one.action)) for one in new))
        portal.clock.time += dt.timedelta(seconds=1)
    own, other = (portal.client_id, "READ"), (portal.other_id, "READ")
    assert seen == [sorted([own, other, other]), sorted([own, ("None", "REFUSED")])]


async def test_only_client_of_an_ended_right_is_not_entered_as_read(portal: Paying) -> None:
    async with portal.engine.begin() as conn:
        only = ContactRight.client_id == portal.client_id
        await conn.execute(delete(ContactRight).where(~only))
        await conn.execute(update(ContactRight).where(only).values(until=dt.date(2026, 3, 15)))
    portal.clock.time = dt.datetime(2026, 3, 16, 3, 59, 59, tzinfo=dt.UTC)
    token = await guardian(portal)
    counts = []
    for _ in range(2):
        await portal.ask("{ client { name } }", token)
        counts.append(len(await entries(portal)))
        portal.clock.time += dt.timedelta(seconds=1)
    assert counts == [1, 1]


async def test_fields_without_client_data_are_not_entered(portal: Paying) -> None:
    await portal.ask("{ practice { name clinicians { name } } viewer { name } }", portal.bearer)
    await portal.ask("{ __typename }", portal.bearer)
    await portal.ask("{ client { nothing } }", portal.bearer)
    assert await entries(portal) == []


async def test_read_of_the_whole_practice_is_one_entry_with_its_count(portal: Paying) -> None:
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


async def test_count_does_not_depend_on_the_order_of_fields(portal: Paying) -> None:
    for _ in range(3):
        await portal.invoice(100)
    query = """{ practice { invoices { pageInfo { hasNextPage endCursor } nodes { number }
        more: nodes { id } } } }"""
    await portal.ask(query, await dashboard(portal))
    (entry,) = await entries(portal)
    assert entry.count == 3


async def test_opened_document_is_entered(portal: Paying) -> None:
    id_ = f"inv_{await portal.invoice(100)}"
    query = "query ($id: ID!) { node(id: $id) { ... on Invoice { document { printUrl } } } }"
    answer = await portal.ask(query, await guardian(portal), id=id_)
    url = answer.json()["data"]["node"]["document"]["printUrl"]
    path = url.partition("8000")[2]
    await portal.read_audit.flush()
    assert (await portal.http.get(path)).status_code == 200
    asked, opened = await entries(portal)
    assert asked.fields == ["DocumentLink.printUrl", "Invoice.document"]
    assert (opened.operation, opened.fields) == ("Print", ["Invoice.document"])
    assert (opened.client_id, opened.name) == (portal.client_id, "Gail Ahn")
    assert (await portal.http.get(path[:-1])).status_code == 404
    assert len(await entries(portal)) == 2


async def test_identical_reads_queued_together_are_merged(portal: Paying) -> None:
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


async def test_payment_is_entered_as_a_change(portal: Paying) -> None:
    await portal.invoice(5_000)
    paid = await portal.pay(5_000, portal.card())
    assert paid["__typename"] == "PaySucceeded"
    # The entry of the change lists the fields of its result. There is no further entry of a read.
    (entry,) = await entries(portal)
    assert entry.action == "CHANGE"
    assert (entry.operation, entry.client_id, entry.kind) == ("Pay", portal.client_id, "CLIENT")


async def test_refused_payment_is_entered_as_a_read(portal: Paying) -> None:
    await portal.invoice(5_000)
    refused = await portal.pay(4_000, portal.card())
    assert refused["__typename"] == "AmountChanged"
    # The result of a refusal has the client's data, so it counts as a read.
    (read,) = await entries(portal)
    assert (read.action, read.operation, read.client_id) == ("READ", "Pay", portal.client_id)
    declined = await portal.pay(5_000, portal.card(DECLINED))
    assert declined["__typename"] == "CardDeclined"
    assert [one.action for one in await entries(portal)] == ["READ", "CHANGE"]


async def test_change_and_its_entry_are_one_transaction(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise ConnectionError

    first = (await keep(portal))["paymentMethod"]["id"]
    second = (await keep(portal, "5555555555554444"))["paymentMethod"]["id"]
    before = len(await entries(portal))
    with monkeypatch.context() as patch:
        patch.setattr(audit_log, "write_entries", broken)
        query = """mutation M($id: ID!) {
            makeDefault(input: {paymentMethodId: $id}) { __typename } }"""
        answer = await portal.ask(query, portal.bearer, id=second)
    assert answer.status_code == 500
    (default,) = [card for card in await portal.all(PaymentMethod) if card.is_default]
    assert f"crd_{default.id}" == first
    await make_default(portal, second)
    changes = [one for one in (await entries(portal))[before:] if one.action == "CHANGE"]
    assert [one.client_id for one in changes] == [portal.client_id]


# -- reading the log -------------------------------------------------------------------------------


async def test_client_sees_reads_by_others_in_the_access_log(portal: Paying) -> None:
    await portal.ask(BALANCE, await guardian(portal), id=f"cli_{portal.client_id}")
    await portal.ask(BALANCE, await guardian(portal), id=f"cli_{portal.other_id}")
    await portal.read_audit.flush()
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
    await portal.read_audit.flush()
    again = (await portal.ask(LOG, portal.bearer)).json()["data"]["client"]["accessLog"]
    assert [node["operation"] for node in again["nodes"]] == ["Log", "Balance"]


async def test_names_in_the_access_log_need_phi_scope(portal: Paying) -> None:
    token = await portal.token(
        Subject(portal.practice_id), scopes=frozenset({Scope.BILLING_READ, Scope.DOCUMENTS_READ})
    )
    answer = await portal.ask(LOG, token, id=f"cli_{portal.client_id}")
    (error,) = answer.json()["errors"]
    assert "AccessLogEntry.name" in error["extensions"]["fields"]


# -- durability ------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [update(AccessEntry).values(name="x"), delete(AccessEntry)])
async def test_database_refuses_update_and_delete_of_entries(portal: Paying, change: Any) -> None:
    await portal.ask(BALANCE, portal.bearer)
    before = await entries(portal)
    with pytest.raises(DBAPIError, match=r"append only|permission denied"):
        async with portal.engine.begin() as conn:
            await conn.execute(change)
    assert await entries(portal) == before


async def test_entries_that_failed_to_be_written_stay_queued(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise ConnectionError

    await portal.ask(BALANCE, portal.bearer)
    with monkeypatch.context() as patch, pytest.raises(ConnectionError):
        patch.setattr(audit_log, "write_entries", broken)
        await portal.read_audit.flush()
    assert len(await entries(portal)) == 1


async def test_flush_waits_for_a_write_under_way(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, begun, may_end = audit_log.write_entries, asyncio.Event(), asyncio.Event()

    async def slow(*given: Any) -> None:
        begun.set()
        await may_end.wait()
        await write(*given)

    monkeypatch.setattr(audit_log, "write_entries", slow)
    await portal.ask(BALANCE, portal.bearer)
    first = asyncio.create_task(portal.read_audit.flush())
    await begun.wait()
    second = asyncio.create_task(portal.read_audit.flush())
    done, _ = await asyncio.wait([second], timeout=0.2)
    assert not done
    may_end.set()
    await second
    assert len(await portal.all(AccessEntry)) == 1
    await first


async def test_queued_entries_are_written_when_the_server_stops(new_database: NewDatabase) -> None:
    async with new_database() as url:
        async with served(url) as portal:
            await portal.ask("{ client { name } }", await portal.token())
        writing = engine(url)
        async with writing.connect() as conn:
            found = (await conn.execute(AccessEntry.__table__.select())).all()
        await writing.dispose()
    assert len(found) == 1
