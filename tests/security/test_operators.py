"""The operator in the audit log: each command about persons or money leaves an entry."""

import asyncio
import getpass
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from billing.payments.context import PaymentContext
from billing.stripe import Missing
from identity.tokens import Subject
from models import AccessEntry, Payment, Token
from server.cli import main as cli
from server.cli import operator_name, payments
from server.cli.demo_letterheads import LOGO
from server.settings import Settings
from tests.support.payments import ASKS, Paying, paying
from tests.support.portal import KEY

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
# The characters of an id that tell the time; the others are random.
MILLISECONDS = len("01a22cf5-2e6b")
CONTACT = ("--name", "Gus Ahn", "--email", "gus@example.com", "--relation", "GUARDIAN", "--pay")


@pytest.fixture
async def portal(
    new_database: NewDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("TOKEN_KEY", KEY)
        monkeypatch.delenv(operator_name.VARIABLE, raising=False)
        yield it


async def run(*arguments: str, name: str = "Ruth at the desk") -> str:
    """Run a command and return its output."""
    whole = ["--as", name, *arguments] if name else [*arguments]
    result = await asyncio.to_thread(CliRunner().invoke, cli.app, whole)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


async def by_operator(portal: Paying) -> list[tuple[Any, ...]]:
    """Return the operator's entries, the oldest first, and those of a millisecond by client."""
    await portal.read_audit.flush()

    def place(entry: AccessEntry) -> tuple[str, str]:
        return str(entry.id)[:MILLISECONDS], entry.client_id or ""

    found = sorted(await portal.all(AccessEntry), key=place)
    done = [one for one in found if one.kind == "OPERATOR"]
    assert {(one.name, one.token_id, one.actor_id) for one in done} <= {
        ("Ruth at the desk", None, None)
    }
    return [(one.operation, one.action, one.client_id) for one in done]


async def test_token_commands_are_entered(portal: Paying) -> None:
    practice, client = f"pra_{portal.practice_id}", f"cli_{portal.client_id}"
    given = ("token", "create", "--name", "x", "--practice", practice)
    await run(*given)
    await run(*given, "--client", client)
    await run(*given, "--contact", portal.guardian_id)
    await run("token", "list")
    of_contact = next(one for one in await portal.all(Token) if one.contact_id)
    await run("token", "revoke", str(of_contact.id))
    both = sorted([portal.client_id, portal.other_id])
    assert await by_operator(portal) == [
        ("portal token create", "CHANGE", None),
        ("portal token create", "CHANGE", portal.client_id),
        *(("portal token create", "CHANGE", each) for each in both),
        ("portal token list", "READ", None),
        *(("portal token revoke", "CHANGE", each) for each in both),
    ]


async def test_contact_commands_are_entered(portal: Paying) -> None:
    client = f"cli_{portal.client_id}"
    contact = (await run("contact", "link", client, *CONTACT)).partition(":")[0]
    await run("contact", "list", client)
    await run("contact", "unlink", contact, client)
    assert await by_operator(portal) == [
        # The contact is new in the practice.
        ("portal contact link", "CHANGE", None),
        ("portal contact link", "CHANGE", portal.client_id),
        ("portal contact list", "READ", portal.client_id),
        ("portal contact unlink", "CHANGE", portal.client_id),
    ]


async def test_document_and_logo_commands_are_entered(portal: Paying) -> None:
    invoice = f"inv_{await portal.invoice(100, portal.other_id)}"
    Path("logo.svg").write_bytes(LOGO)  # noqa: ASYNC240
    await run("document", invoice, "--out", "it.pdf")
    await run("logo", f"pra_{portal.practice_id}", "logo.svg")
    assert await by_operator(portal) == [
        ("portal document", "READ", portal.other_id),
        ("portal logo", "CHANGE", None),
    ]
    (read, *_) = [one for one in await portal.all(AccessEntry) if one.action == "READ"]
    assert read.fields == ["Invoice.document"]


async def test_explain_with_a_token_is_entered(portal: Paying) -> None:
    Path("q.graphql").write_text("query ($id: ID) { client(id: $id) { name } }")  # noqa: ASYNC240
    # Commands use the real clock.
    portal.clock.time = portal.clock.time.replace(year=2099)
    own, dashboard = await portal.token(), await portal.token(Subject(portal.practice_id))
    for token, id_ in ((own, portal.client_id), (dashboard, portal.other_id)):
        given = f'{{"id": "cli_{id_}"}}'
        await run("explain", "q.graphql", "--variables", given, "--token", token)
    await run("explain", "q.graphql")
    assert await by_operator(portal) == [
        ("portal explain", "READ", portal.client_id),
        ("portal explain", "READ", portal.other_id),
    ]


async def test_money_commands_are_entered(portal: Paying, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def till_of(_: Settings) -> AsyncIterator[PaymentContext]:
        yield portal.payment_context

    monkeypatch.setattr(payments, "context_of", till_of)
    operator_name.given_name.set("Ruth at the desk")
    settings = Settings(database_url=portal.url, token_key=KEY)
    await portal.invoice(5_000)
    paid = (await portal.pay(5_000, portal.card()))["payment"]["id"]
    await payments.refund_by_operator(settings, paid, "12.50", None, lambda _: None)
    await payments.differences(settings, None)
    await portal.invoice(3_000)
    await portal.pay(5_000 - 3_750 + 3_000, portal.card(ASKS))
    (open_one,) = [one for one in await portal.all(Payment) if one.state == "REQUIRES_ACTION"]

    async def gone(*_: Any) -> None:
        raise Missing("gone")

    monkeypatch.setattr(type(portal.payment_context.stripe), "intent", gone)
    await payments.end_by_operator(settings, f"pmt_{open_one.id}", "The account is closed.")
    assert await by_operator(portal) == [
        ("portal refund", "CHANGE", portal.client_id),
        ("portal reconcile", "READ", None),
        ("portal payment end", "CHANGE", portal.client_id),
    ]


async def test_client_sees_the_operators_entries(portal: Paying) -> None:
    client = f"cli_{portal.client_id}"
    await run("contact", "link", client, *CONTACT)
    query = "{ client { accessLog { nodes { kind name action operation } } } }"
    answer = (await portal.ask(query, portal.bearer)).json()
    assert answer["data"]["client"]["accessLog"]["nodes"] == [
        {
            "kind": "OPERATOR",
            "name": "Ruth at the desk",
            "action": "CHANGE",
            "operation": "portal contact link",
        }
    ]


async def test_operators_name_comes_from_option_variable_or_system(
    portal: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("token", "create", "--name", "x", "--practice", f"pra_{portal.practice_id}")
    await run(*given, name="")
    monkeypatch.setenv(operator_name.VARIABLE, "Night shift")
    await run(*given, name="")
    await run(*given)
    found = sorted(await portal.all(AccessEntry), key=lambda one: str(one.id))
    assert [one.name for one in found] == [getpass.getuser(), "Night shift", "Ruth at the desk"]
