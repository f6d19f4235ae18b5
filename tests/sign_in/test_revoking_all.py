"""`portal token revoke --all-of` and `portal token list --sign-ins`."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from typer.testing import CliRunner, Result

from identity.tokens import Subject
from models import AccessEntry, Contact, Scope
from server.cli import main as cli
from tests.support.portal import KEY
from tests.support.sign_in import SigningIn, signing_in

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
OPERATOR = "Ruth at the desk"


@pytest.fixture
async def portal(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SigningIn]:
    """Yield a portal with the command's clock and settings."""
    async with new_database() as url, signing_in(url) as it:
        it.clock.time = dt.datetime.now(dt.UTC)
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("TOKEN_KEY", KEY)
        yield it


async def command(*words: str) -> Result:
    """Run `portal token`, as a script does: without a terminal."""
    given = ["--as", OPERATOR, "token", *words]
    return await asyncio.to_thread(CliRunner().invoke, cli.app, given)


@pytest.mark.parametrize("of", ["client", "contact", "practice"])
async def test_all_tokens_and_sign_ins_end_at_once(portal: SigningIn, of: str) -> None:
    """Pending links end too. Tokens of other people and practices stay valid."""
    await portal.change(Contact, portal.guardian_id, email="ana@example.com")
    practice, quay = portal.practice_id, await portal.elsewhere("ana@example.com")
    guardian = Subject(practice, contact_id=portal.guardian_id)
    tokens = {
        "client's sign-in": await portal.sign_in(),
        "client's": await portal.token(),
        "contact's": await portal.token(guardian),
        "program's": await portal.token(
            Subject(practice), scopes=frozenset({Scope.BILLING_READ, Scope.PHI_READ})
        ),
        "other client's": await portal.token(Subject(practice, client_id=portal.other_id)),
        "other sign-in": await portal.sign_in("ben@example.com"),
        "other practice's": await portal.token(
            Subject(quay), scopes=frozenset(Scope) - {Scope.BILLING_WRITE}
        ),
    }
    secret, nonce = await portal.link("ana@example.com")
    ended = {
        "client": {"client's sign-in", "client's"},
        "contact": {"client's sign-in", "contact's"},
        "practice": set(tokens) - {"other practice's"},
    }[of]
    which = {
        "client": f"cli_{portal.client_id}",
        "contact": portal.guardian_id,
        "practice": f"pra_{practice}",
    }[of]
    asked = await command("revoke", "--all-of", which)
    assert asked.exit_code == 1
    assert "? Give --yes." in asked.stderr
    assert all([await portal.works(token) for token in tokens.values()])
    done = await command("revoke", "--all-of", which, "--yes")
    sign_ins = sum("sign-in" in name for name in ended)
    assert done.stdout.endswith(f": {len(ended) - sign_ins}. Ended sign-ins: {sign_ins}.\n")
    works = {name for name, token in tokens.items() if await portal.works(token)}
    assert works == set(tokens) - ended
    assert (await portal.enter(secret, nonce))["__typename"] == "SignInLinkInvalid"
    entries = [row for row in await portal.all(AccessEntry) if row.kind == "OPERATOR"]
    assert {(row.name, row.operation) for row in entries} == {
        (OPERATOR, "portal token revoke --all-of")
    }
    assert {row.action for row in entries} == {"CHANGE", "SIGN_OUT"}


async def test_tokens_are_listed_with_sign_ins(portal: SigningIn) -> None:
    await portal.sign_in()
    await portal.token()
    (line,) = (await command("list")).stdout.splitlines()
    assert "CLIENT" in line
    first, second = (await command("list", "--sign-ins")).stdout.splitlines()
    assert first == line
    assert "Ana Prieto <ana@example.com>, Harbor Counseling" in second


async def test_unclear_selection_is_refused(portal: SigningIn) -> None:
    assert "Give either a token's id or --all-of." in (await command("revoke")).stderr
    none = await command("revoke", "--all-of", f"inv_{portal.client_id}", "--yes")
    assert "is not the id of a client (cli_…), a contact or a practice" in none.stderr
    for unknown in (f"cli_{portal.guardian_id}", "nobody", "pra_x"):
        refused = await command("revoke", "--all-of", unknown, "--yes")
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert "There is no " in refused.stderr
