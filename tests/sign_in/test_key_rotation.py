"""Rotation of TOKEN_KEY and FIELD_KEY: nobody is signed out, and an operator sees what is left."""

import datetime as dt
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import insert

from billing.encryption import FieldKeys
from billing.reencryption import BATCH, encrypted_columns, reencrypt
from execution.authentication import Authenticator
from identity.token_keys import key_id
from identity.tokens import Subject
from models import Letterhead, Row, Scope, Token
from models.ids import new_id
from server.cli import key_admin
from server.cli.key_admin import KeyReport, key_report
from server.settings import Settings
from tests.support.document_links import BASE, link, made
from tests.support.portal import KEY
from tests.support.sign_in import SigningIn, asked, serving, signing_in

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
NEW = "n" * 40
# The steps of a rotation: every server knows the new key before one uses it for new rows.
LEARNT, PROMOTED = f"{KEY},{NEW}", f"{NEW}, {KEY}"
NAME = "{ viewer { name } }"


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[SigningIn]:
    """Yield a portal with the command's clock. Its server has the old key alone."""
    async with new_database() as url, signing_in(url) as it:
        it.clock.time = dt.datetime.now(dt.UTC)
        yield it


async def report(portal: SigningIn, keys: str) -> KeyReport:
    return await key_report(Settings(database_url=portal.url, token_key=keys))


async def hashes(portal: SigningIn) -> set[str]:
    """Return the ids of the keys of all stored hashes of tokens, after the servers' writes."""
    await portal.application.state.token_usage.flush()
    return {row.hash.partition(":")[0] for row in await portal.all(Token)}


async def name(http: httpx.AsyncClient, token: str) -> Any:
    response = await http.post(
        "/graphql", json={"query": NAME}, headers={"Authorization": f"Bearer {token}"}
    )
    return response.status_code == 200 and response.json()["data"]["viewer"]["name"]


async def document_link(portal: SigningIn, token: str) -> str:
    """Return the path of a link to a new invoice."""
    id_ = await made(portal, "inv", number=f"INV-{new_id()[-6:]}")
    found = await link(portal, id_, token)
    return str(found["printUrl"]).removeprefix(BASE)


async def test_everything_of_the_old_key_works_until_it_is_dropped(portal: SigningIn) -> None:
    sign_in, issued = await portal.sign_in(), await portal.token()
    unused = await portal.token(Subject(portal.practice_id), scopes=frozenset({Scope.BILLING_READ}))
    secret, nonce = await portal.link("ben@example.com")
    waiting = await portal.request("gail@example.com")
    path = await document_link(portal, issued)
    assert await hashes(portal) == {key_id(KEY)}
    for keys in (LEARNT, PROMOTED):
        async with serving(portal, smtp_url=portal.mailbox.url, token_key=keys):
            assert await name(portal.http, sign_in) == "Ana Prieto"
            assert await name(portal.http, issued) == "Ana Prieto"
            assert (await portal.http.get(path)).status_code == 200
            assert (await portal.http.get(path[:-1] + "x")).status_code == 404
            newest = keys.partition(",")[0]
            assert key_id(newest) in await hashes(portal)
            if newest == NEW:
                entered = await portal.enter(secret, nonce)
                assert await name(portal.http, entered["token"]) == "Ben Osei"
                (code,) = await portal.codes()
                typed = await portal.type_code(code, waiting)
                assert typed["viewer"]["name"] == "Gail Ahn"
                # A repeated request finds the known viewer, and then the one with the new hash.
                assert await name(portal.http, sign_in) == "Ana Prieto"
                assert await name(portal.http, sign_in) == "Ana Prieto"
    text = "\n".join((await report(portal, PROMOTED)).lines())
    assert f"TOKEN_KEY {key_id(KEY)}: tokens 1, requests for mails 3. Keep it" in text
    async with serving(portal, token_key=NEW):
        for token in (sign_in, issued, entered["token"], typed["token"]):
            assert await name(portal.http, token)
        assert not await name(portal.http, unused)
        assert (await portal.http.get(path)).status_code == 404


async def test_servers_of_both_steps_work_beside_one_another(portal: SigningIn) -> None:
    """Each server reads what the other one wrote, and a limit counts the requests of both."""
    mail = {"smtp_url": portal.mailbox.url}
    async with serving(portal, token_key=LEARNT, **mail):
        old = portal.http
        async with serving(portal, token_key=PROMOTED, **mail):
            new = portal.http
            for one, other in ((old, new), (new, old)):
                nonce = await portal.request("ana@example.com", one)
                (secret,) = await portal.secrets()
                first = await portal.enter(secret, nonce, other)
                # The response may have been lost: the page tries again at the other server.
                again = await portal.enter(secret, nonce, one)
                assert first["token"] == again["token"]
                for http in (one, other, one):
                    assert await name(http, first["token"]) == "Ana Prieto"
                waiting = await portal.request("ben@example.com", one)
                (code,) = await portal.codes()
                typed = await portal.type_code(code, waiting, other)
                assert await name(one, typed["token"]) == "Ben Osei"
            token = await portal.token()
            for one, other in ((old, new), (new, old)):
                portal.http = one
                path = await document_link(portal, token)
                assert (await other.get(path)).status_code == 200
            for http in (old, new, old, new):
                await portal.request("gail@example.com", http)
            query = """mutation { requestSignInLink(input: {email: "gail@example.com"})
              { nonce nextMailAt } }"""
            refused = (await asked(new, query))["data"]["requestSignInLink"]
            assert refused["nextMailAt"] is not None
            # The page that was refused a mail may use the link of another one.
            (secret, *_) = await portal.secrets()
            assert (await portal.enter(secret, refused["nonce"], old))["__typename"] == "SignedIn"


async def test_token_is_looked_up_by_one_statement(
    portal: SigningIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, looked_up = await portal.token(), list[str]()
    row = Authenticator.row

    async def counted(self: Authenticator, plan: Any, *given: Any) -> Any:
        looked_up.append(plan.sql)
        return await row(self, plan, *given)

    monkeypatch.setattr(Authenticator, "row", counted)
    async with serving(portal, token_key=PROMOTED):
        assert await name(portal.http, token) == "Ana Prieto"
    assert len(looked_up) == 1


async def test_status_tells_when_a_key_may_be_dropped(portal: SigningIn) -> None:
    token = await portal.token()
    before = "\n".join((await report(portal, PROMOTED)).lines())
    assert f"TOKEN_KEY {key_id(NEW)}: no rows. New rows get this key." in before
    until = portal.clock() + dt.timedelta(hours=1)
    assert f"{key_id(KEY)}: tokens 1. Keep it until" in before
    assert f"{until:%Y-%m-%d %H:%M} UTC at the latest" in before
    async with serving(portal, token_key=PROMOTED):
        assert await name(portal.http, token)
        await hashes(portal)
    after = await report(portal, PROMOTED)
    assert f"{key_id(KEY)}: no rows. Nothing uses it. It may be dropped" in "\n".join(after.lines())
    lost = await report(portal, "x" * 32)
    assert f"{key_id(NEW)}: tokens 1. TOKEN_KEY does not have this key" in "\n".join(lost.lines())
    found = {one["id"]: one["rows"] for one in json.loads(after.as_json())["tokenKeys"]}
    assert found == {key_id(NEW): {"tokens": 1}, key_id(KEY): {}}


@pytest.mark.parametrize("keys", ["k" * 31, f"{'k' * 32},short", " , "])
def test_short_key_is_refused(keys: str) -> None:
    with pytest.raises(ValueError, match="less than 32 characters"):
        Settings(database_url="sqlite://", token_key=keys)


# -- encrypted fields ------------------------------------------------------------------------------


def test_each_encrypted_column_is_marked() -> None:
    marked = {(table.name, column.name) for table, column in encrypted_columns()}
    named = {
        (table.name, column.name)
        for table in Row.metadata.sorted_tables
        for column in table.columns
        if "encrypted" in column.name
    }
    assert marked == named


async def test_fields_are_encrypted_with_the_newest_key(portal: SigningIn) -> None:
    """An interrupted run keeps its batches, and servers with both keys read each value."""
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    both, count = FieldKeys([new, old]), BATCH * 2 + 1
    await add_letterheads(portal, FieldKeys([old]), count)
    run = reencrypt(portal.engine, both)
    assert await anext(run) == BATCH
    await run.aclose()
    assert await readable(portal, FieldKeys([new])) == BATCH
    assert await readable(portal, both) == count
    settings = Settings(database_url=portal.url, token_key=KEY, field_key=f"{new},{old}")  # type: ignore[arg-type]
    before = "\n".join((await key_report(settings)).lines())
    assert f"FIELD_KEY: {BATCH} fields" in before
    assert f"{count - BATCH} fields have an older key: run `portal keys rotate`." in before
    assert await key_admin.reencrypt_fields(settings) == count - BATCH
    assert await key_admin.reencrypt_fields(settings) == 0
    assert await readable(portal, FieldKeys([new])) == count
    after = "\n".join((await key_report(settings)).lines())
    assert "the older keys may be dropped" in after
    other = Fernet.generate_key().decode()
    wrong = Settings(database_url=portal.url, token_key=KEY, field_key=other)  # type: ignore[arg-type]
    assert await key_admin.reencrypt_fields(wrong) == 0
    assert f"{count:,} fields can't be decrypted" in "\n".join((await key_report(wrong)).lines())


async def add_letterheads(portal: SigningIn, keys: FieldKeys, count: int) -> None:
    rows = [
        {
            "practice_id": portal.practice_id,
            "id": new_id(),
            "name": "Harbor Counseling",
            "tax_id_encrypted": keys.encrypted("12-3456789"),
            "tax_id_last4": "6789",
        }
        for _ in range(count)
    ]
    async with portal.engine.begin() as conn:
        await conn.execute(insert(Letterhead), rows)


async def readable(portal: SigningIn, keys: FieldKeys) -> int:
    rows = await portal.all(Letterhead)
    return sum(keys.read(row.tax_id_encrypted) == "12-3456789" for row in rows)
