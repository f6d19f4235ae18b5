"""Kept answers: each is that of its statement, for the viewer and the data of now."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, text, update

from identity.tokens import Subject
from models import (
    AccessEntry,
    Client,
    ClientNamePart,
    ContactRight,
    Letterhead,
    Practice,
    Scope,
    Statement,
    Token,
)
from models.ids import new_id
from models.measures import CACHE_LOOKUPS
from tests.support.factories import DEFAULTS
from tests.support.portal import Portal, served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
NAME = "query Name { client { name } }"
NAMES = "query Names { viewer { clients { name } } }"
PRACTICE = "query Practice { practice { name } }"
ALL = "query All { clients(first: 10) { nodes { name } } }"
SIGN_INS = "query SignIns { viewer { signIns { id } } }"
LINKS = "query Links { client { statements(first: 1) { nodes { document { printUrl } } } } }"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Portal]:
    async with new_database() as url, served(url) as it:
        yield it


def hits() -> int:
    return CACHE_LOOKUPS.values["answers", "hit"]


async def data(portal: Portal, token: str, query: str, **variables: Any) -> Any:
    response = await portal.ask(query, token, **variables)
    assert response.status_code == 200, response.text
    body = response.json()
    assert "errors" not in body, body
    return body["data"]


async def kept(portal: Portal, token: str, query: str, **variables: Any) -> Any:
    """Return an answer that is then kept: it comes twice, from the cache the second time."""
    first = await data(portal, token, query, **variables)
    await data(portal, token, query, **variables)
    before = hits()
    assert await data(portal, token, query, **variables) == first
    assert hits() == before + 1, "the answer was not kept"
    return first


async def change(portal: Portal, statement: Any) -> None:
    async with portal.engine.begin() as conn:
        await conn.execute(statement)


async def rename(portal: Portal, name: str, id_: str | None = None) -> None:
    renamed = update(Client).where(Client.id == (id_ or portal.client_id)).values(name=name)
    await change(portal, renamed)


async def program(portal: Portal) -> str:
    scopes = frozenset({Scope.BILLING_READ, Scope.PHI_READ, Scope.AGGREGATES_READ})
    return await portal.token(Subject(portal.practice_id), scopes=scopes)


async def guardian(portal: Portal) -> str:
    return await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id))


async def test_an_answer_is_kept_until_a_row_of_the_client_changes(portal: Portal) -> None:
    token = await portal.token()
    assert await kept(portal, token, NAME) == {"client": {"name": "Ana Prieto"}}
    await rename(portal, "Ana Ortiz")
    assert await kept(portal, token, NAME) == {"client": {"name": "Ana Ortiz"}}


async def test_rows_of_another_client_change_nothing(portal: Portal) -> None:
    token = await portal.token()
    await kept(portal, token, NAME)
    await rename(portal, "Ben Ode", portal.other_id)
    before = hits()
    await data(portal, token, NAME)
    assert hits() == before + 1


async def test_an_answer_of_a_contact_depends_on_each_of_its_clients(portal: Portal) -> None:
    token = await guardian(portal)
    for id_ in (portal.client_id, portal.other_id):
        await kept(portal, token, NAMES)
        await rename(portal, f"Renamed {id_}", id_)
        found = await data(portal, token, NAMES)
        assert f"Renamed {id_}" in {client["name"] for client in found["viewer"]["clients"]}


async def test_a_right_that_begins_or_ends_is_seen_at_once(portal: Portal) -> None:
    token = await guardian(portal)
    assert len((await kept(portal, token, NAMES))["viewer"]["clients"]) == 2
    right = ContactRight.contact_id == portal.guardian_id, ContactRight.client_id == portal.other_id
    today = portal.clock().date()
    await change(portal, update(ContactRight).where(*right).values(until=today))
    assert len((await kept(portal, token, NAMES))["viewer"]["clients"]) == 2
    # The right ends with its day, without a change of any row: at midnight in New York.
    later = portal.clock() + dt.timedelta(days=1)
    await change(portal, update(Token).values(expires_at=later + dt.timedelta(hours=1)))
    await kept(portal, token, NAMES)
    portal.clock.time = later.replace(hour=3, minute=59)
    assert len((await data(portal, token, NAMES))["viewer"]["clients"]) == 2
    portal.clock.time = later.replace(hour=4)
    assert len((await data(portal, token, NAMES))["viewer"]["clients"]) == 1


async def test_rows_of_the_practice_are_of_everybody(portal: Portal) -> None:
    tokens = [await portal.token(), await guardian(portal), await program(portal)]
    for token in tokens:
        await kept(portal, token, PRACTICE)
    await change(portal, update(Practice).values(name="Harbor House"))
    for token in tokens:
        assert await data(portal, token, PRACTICE) == {"practice": {"name": "Harbor House"}}


async def test_a_dashboard_depends_on_every_row_of_its_practice(portal: Portal) -> None:
    token = await program(portal)
    await kept(portal, token, ALL)
    await rename(portal, "Ben Ode", portal.other_id)
    found = await data(portal, token, ALL)
    assert "Ben Ode" in {node["name"] for node in found["clients"]["nodes"]}


async def test_a_row_that_is_removed_by_plain_sql_is_seen(portal: Portal) -> None:
    token = await guardian(portal)
    await kept(portal, token, NAMES)
    async with portal.engine.begin() as conn:
        sql = "DELETE FROM contact_right WHERE client_id = :id"
        if conn.dialect.name == "postgresql":
            sql = sql.replace(":id", "CAST(CAST(:id AS text) AS uuid)")
        await conn.execute(text(sql), {"id": portal.other_id})
    assert len((await data(portal, token, NAMES))["viewer"]["clients"]) == 1


async def test_a_revoked_token_has_no_kept_answer(portal: Portal) -> None:
    token = await portal.token()
    await kept(portal, token, NAME)
    await change(portal, update(Token).values(revoked_at=portal.clock()))
    assert (await portal.ask(NAME, token)).status_code == 401


async def test_a_lost_scope_refuses_a_kept_answer(portal: Portal) -> None:
    token = await portal.token()
    await kept(portal, token, NAME)
    await change(portal, update(Token).values(scopes=[Scope.BILLING_READ]))
    errors = (await portal.ask(NAME, token)).json()["errors"]
    assert errors[0]["extensions"]["code"] == "SCOPE_REQUIRED"


async def test_a_kept_answer_is_recorded_as_read(portal: Portal) -> None:
    token = await portal.token()
    for expected in range(1, 4):
        await data(portal, token, NAME)
        await written(portal, expected)


async def written(portal: Portal, expected: int) -> None:
    """Wait until so many reads are in the audit log."""
    async with asyncio.timeout(20):
        while True:
            async with portal.engine.connect() as conn:
                if await conn.scalar(select(func.count()).select_from(AccessEntry)) == expected:
                    return
            await asyncio.sleep(0.05)


async def test_a_persons_sign_ins_are_in_no_kept_answer(portal: Portal) -> None:
    """Which of them are valid depends on the time, and their last use has no version."""
    token = await portal.token()
    before = sum(CACHE_LOOKUPS.values["answers", result] for result in ("hit", "miss"))
    for _ in range(3):
        assert await data(portal, token, SIGN_INS) == {"viewer": {"signIns": []}}
    assert sum(CACHE_LOOKUPS.values["answers", result] for result in ("hit", "miss")) == before


async def test_links_are_the_same_within_a_minute_and_work_after_it(portal: Portal) -> None:
    number = {"practice_id": portal.practice_id, "id": new_id(), "name": "Harbor Counseling"}
    await portal.insert(Letterhead, number)
    statement = {
        "practice_id": portal.practice_id,
        "id": new_id(),
        "client_id": portal.client_id,
        "letterhead_id": number["id"],
        **DEFAULTS[Statement],
        "serial": 1,
        "shared_at": portal.clock(),
    }
    await portal.insert(Statement, statement)
    token = await portal.token()
    first = await kept(portal, token, LINKS)
    portal.clock.time += dt.timedelta(seconds=59)
    assert await data(portal, token, LINKS) == first
    portal.clock.time += dt.timedelta(seconds=1)
    assert await data(portal, token, LINKS) != first


async def test_commits_of_one_practice_wait_for_each_other_and_end(portal: Portal) -> None:
    """Two transactions change rows of the same clients in opposite order."""
    if portal.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer")
    ids = [portal.client_id, portal.other_id]
    for _ in range(20):
        async with portal.engine.connect() as one, portal.engine.connect() as other:
            for conn, order in ((one, ids), (other, ids[::-1])):
                for id_ in order:
                    part = {"practice_id": portal.practice_id, "client_id": id_, "text": "x"}
                    position = 1 + (conn is other)
                    await conn.execute(insert(ClientNamePart).values(part | {"position": position}))
            async with asyncio.timeout(20):
                await asyncio.gather(one.commit(), other.commit())
        await change(portal, delete(ClientNamePart))


async def test_a_change_is_seen_once_it_is_committed_and_not_before(portal: Portal) -> None:
    token = await portal.token()
    await kept(portal, token, NAME)
    async with portal.engine.connect() as conn:
        await conn.execute(update(Client).values(name="Ana Ortiz"))
        assert await data(portal, token, NAME) == {"client": {"name": "Ana Prieto"}}
        await conn.commit()
    assert await data(portal, token, NAME) == {"client": {"name": "Ana Ortiz"}}


async def test_nothing_is_kept_where_the_setting_is_0(new_database: NewDatabase) -> None:
    async with new_database() as url, served(url, answer_cache_mb=0) as portal:
        token, before = await portal.token(), CACHE_LOOKUPS.values.copy()
        for _ in range(3):
            await data(portal, token, NAME)
    names = {labels for labels in CACHE_LOOKUPS.values - before if labels[0] == "answers"}
    assert names == set()
