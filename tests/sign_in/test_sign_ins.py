"""Sign-ins: their lifetime, and how they end."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import update

from identity.tokens import Subject
from models import Token
from server.background_writes import flush_regularly
from tests.support.sign_in import (
    REVOKE,
    SIGN_INS,
    SIGN_OUT,
    SigningIn,
    serving,
    signing_in,
    statements,
    until,
)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
MINUTE, SECOND = dt.timedelta(minutes=1), dt.timedelta(seconds=1)


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[SigningIn]:
    async with new_database() as url, signing_in(url) as it:
        yield it


async def written(portal: SigningIn) -> None:
    """Write the last uses, as the server does every few seconds."""
    await portal.application.state.token_usage.flush()


async def sign_ins(portal: SigningIn, token: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await portal.ask(SIGN_INS, token)).json()["data"]["viewer"][
        "signIns"
    ]
    return found


async def revoke(portal: SigningIn, token: str, id_: str) -> dict[str, Any]:
    found: dict[str, Any] = (await portal.ask(REVOKE, token, id=id_)).json()["data"]["revokeSignIn"]
    return found


# -- lifetime --------------------------------------------------------------------------------------


async def test_sign_in_ends_after_15_idle_minutes(portal: SigningIn) -> None:
    token = await portal.sign_in()
    portal.clock.time += 15 * MINUTE - SECOND
    assert await portal.works(token)
    await written(portal)
    portal.clock.time += 15 * MINUTE - SECOND
    assert await portal.works(token)
    await written(portal)
    portal.clock.time += 15 * MINUTE
    assert not await portal.works(token)


async def test_sign_in_ends_after_12_hours_of_use(portal: SigningIn) -> None:
    token = await portal.sign_in()
    for _ in range(71):
        portal.clock.time += 10 * MINUTE
        assert await portal.works(token)
        await written(portal)
    portal.clock.time += 10 * MINUTE
    assert not await portal.works(token)


async def test_created_tokens_do_not_expire_when_idle(portal: SigningIn) -> None:
    subject = Subject(portal.practice_id, client_id=portal.client_id)
    token = await portal.token(subject)
    portal.clock.time += 59 * MINUTE
    assert await portal.works(token)
    await written(portal)
    (row,) = await portal.all(Token)
    assert row.last_used_at == portal.clock.time


async def test_last_use_is_written_once_for_many_requests(portal: SigningIn) -> None:
    token = await portal.sign_in()
    with statements(portal) as done:
        for _ in range(20):
            portal.clock.time += SECOND
            assert await portal.works(token)
        await written(portal)
        await written(portal)
    of_tokens = [statement for statement in done if "token" in statement]
    assert len(of_tokens) == 1
    assert of_tokens[0].startswith("UPDATE token SET last_used_at")
    (row,) = await portal.all(Token)
    assert row.last_used_at == portal.clock.time


async def test_stopping_server_writes_the_last_uses(portal: SigningIn) -> None:
    token = await portal.sign_in()
    async with serving(portal):
        portal.clock.time += 14 * MINUTE
        assert await portal.works(token)
    (row,) = await portal.all(Token)
    assert row.last_used_at == portal.clock.time
    async with serving(portal):
        portal.clock.time += 14 * MINUTE
        assert await portal.works(token)


async def test_late_write_does_not_undo_a_later_use(portal: SigningIn) -> None:
    token = await portal.sign_in()
    first = portal.application.state.token_usage
    portal.clock.time += MINUTE
    assert await portal.works(token)
    async with serving(portal):
        portal.clock.time += MINUTE
        assert await portal.works(token)
    await first.flush()
    (row,) = await portal.all(Token)
    assert row.last_used_at == portal.clock.time


async def test_uses_that_failed_to_be_written_stay_queued(portal: SigningIn) -> None:
    token = await portal.sign_in()
    uses = portal.application.state.token_usage
    assert await portal.works(token)
    uses.latest["not an id", "nor this"] = "not a time"
    with pytest.raises(Exception, match="UPDATE token"):
        await uses.flush()
    assert len(uses.latest) == 2


async def test_flush_waits_for_a_write_under_way(portal: SigningIn) -> None:
    token = await portal.sign_in()
    uses = portal.application.state.token_usage
    portal.clock.time += MINUTE
    assert await portal.works(token)
    async with portal.engine.begin() as conn:
        await conn.execute(update(Token).values(name="held"))
        first = asyncio.create_task(uses.flush())
        await until(lambda: not uses.latest)
        second = asyncio.create_task(uses.flush())
        done, _ = await asyncio.wait([second], timeout=0.2)
        assert not done
    await second
    (row,) = await portal.all(Token)
    assert row.last_used_at == portal.clock.time
    await first


async def test_batches_are_retried_and_written_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = [0], [0]

    async def fails() -> None:
        first[0] += 1
        raise ConnectionError

    async def counts() -> None:
        second[0] += 1

    async with flush_regularly(fails, counts, every_s=0.01):
        await until(lambda: second[0] >= 3)
        before = second[0]
    assert (second[0], first[0]) == (before + 1, before + 1)
    assert "a batch could not be written" in caplog.text


# -- end -------------------------------------------------------------------------------------------


async def test_sign_out_ends_the_sign_in_at_once(portal: SigningIn) -> None:
    token, other = await portal.sign_in(), await portal.sign_in()
    answer = (await portal.ask(SIGN_OUT, token)).json()
    assert answer == {"data": {"signOut": {"signedOut": True}}}
    assert not await portal.works(token)
    assert await portal.works(other)


async def test_created_token_can_not_be_signed_out(portal: SigningIn) -> None:
    dashboard = await portal.token(Subject(portal.practice_id), scopes=frozenset())
    for token in (await portal.token(), dashboard):
        answer = (await portal.ask(SIGN_OUT, token)).json()
        assert answer == {"data": {"signOut": {"signedOut": False}}}
        assert (await portal.ask("{ viewer { kind } }", token)).status_code == 200


async def test_own_sign_ins_are_listed_newest_first(portal: SigningIn) -> None:
    first = await portal.sign_in()
    portal.clock.time += MINUTE
    second = await portal.sign_in()
    await portal.sign_in("ben@example.com")
    await portal.token()
    await written(portal)
    newest, oldest = await sign_ins(portal, first)
    assert [newest["isCurrent"], oldest["isCurrent"]] == [False, True]
    assert newest["startedAt"] == "2026-03-15T12:01:00Z"
    assert newest["lastUsedAt"] == "2026-03-15T12:01:00Z"
    assert oldest["startedAt"] == "2026-03-15T12:00:00Z"
    assert newest["id"].startswith("sgn_")
    assert [one["isCurrent"] for one in await sign_ins(portal, second)] == [True, False]


async def test_ended_sign_ins_are_not_listed(portal: SigningIn) -> None:
    signed_out, idle = await portal.sign_in(), await portal.sign_in()
    assert await portal.works(idle)
    await portal.ask(SIGN_OUT, signed_out)
    portal.clock.time += 15 * MINUTE
    token = await portal.sign_in()
    (only,) = await sign_ins(portal, token)
    assert only["isCurrent"]


async def test_another_own_sign_in_can_be_ended(portal: SigningIn) -> None:
    here, there = await portal.sign_in(), await portal.sign_in()
    (other,) = [one for one in await sign_ins(portal, here) if not one["isCurrent"]]
    done = await revoke(portal, here, other["id"])
    assert done["__typename"] == "SignInRevoked"
    assert [one["id"] for one in done["viewer"]["signIns"]] != []
    assert other["id"] not in [one["id"] for one in done["viewer"]["signIns"]]
    assert not await portal.works(there)
    assert await portal.works(here)
    assert (await revoke(portal, here, other["id"]))["__typename"] == "NotFound"


async def test_current_sign_in_can_be_ended(portal: SigningIn) -> None:
    token = await portal.sign_in()
    (own,) = await sign_ins(portal, token)
    done = await revoke(portal, token, own["id"])
    assert done == {"__typename": "SignInRevoked", "viewer": {"signIns": []}}
    assert not await portal.works(token)


async def test_sign_in_of_others_is_not_found(portal: SigningIn) -> None:
    await portal.elsewhere("zoe@example.com")
    ana = await portal.sign_in()
    (own,) = await sign_ins(portal, ana)
    others = [await portal.sign_in(f"{who}@example.com") for who in ("ben", "gail", "zoe")]
    others.append(await portal.token(Subject(portal.practice_id), scopes=frozenset()))
    for token in others:
        assert (await revoke(portal, token, own["id"]))["code"] == "NOT_FOUND"
    assert await portal.works(ana)


async def test_ids_of_other_rows_are_not_found(portal: SigningIn) -> None:
    token = await portal.sign_in()
    await portal.token()
    (given_out,) = [row for row in await portal.all(Token) if not row.is_sign_in]
    wrong = (f"sgn_{given_out.id}", f"cli_{portal.client_id}", "sgn_1", "", "sgn_" + "9" * 5_000)
    for id_ in wrong:
        refused = await revoke(portal, token, id_)
        assert (refused["__typename"], refused["path"]) == ("NotFound", ["input", "id"])
    assert (await portal.all(Token))[-1].revoked_at is None


async def test_sign_in_revoked_by_the_operator_is_refused(portal: SigningIn) -> None:
    token = await portal.sign_in()
    async with portal.engine.begin() as conn:
        await conn.execute(update(Token).values(revoked_at=portal.clock()))
    assert not await portal.works(token)
    assert (await portal.ask(SIGN_OUT, token)).status_code == 401
