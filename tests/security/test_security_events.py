"""Security events: each is emitted by a request, and contains ids and hashes only."""

import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from billing import security_events
from billing.security_events import EVENTS, FIELDS
from graph.schema import schema
from identity.tokens import Subject
from models import AccessEntry, Contact, Scope, ViewerKind
from server import security_log
from server.security_log import SecurityLog
from tests.support.demo_server import PROJECT
from tests.support.payments import Paying, paying
from tests.support.sign_in import REVOKE, SIGN_INS, SIGN_OUT, SigningIn, signing_in

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
BILLING = frozenset({Scope.BILLING_READ})
NAME = "query Prieto($id: ID) { client(id: $id) { name } }"
NOWHERE = "inv_00000000-0000-7000-8000-000000000000"
NODE = "query ($id: ID!) { node(id: $id) { id } }"
Told = list[dict[str, Any]]


class Kept(logging.Handler):
    """Log handler that keeps the lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler, log = Kept(), security_events.log
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.setLevel(before)
    log.removeHandler(handler)


@pytest.fixture
async def home(new_database: NewDatabase) -> AsyncIterator[SigningIn]:
    """Yield a portal in which a client and a guardian have one address."""
    async with new_database() as url, signing_in(url) as it:
        await it.change(Contact, it.guardian_id, email="ana@example.com")
        yield it


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url) as it:
        yield it


async def refusals(portal: Paying) -> None:
    """Cause a refusal of every kind."""
    poor = await portal.token(Subject(portal.practice_id), scopes=BILLING)
    for _ in range(2):
        await portal.ask(NAME, poor, id=f"cli_{portal.client_id}")
    await portal.ask(NAME, portal.bearer, id=f"cli_{portal.other_id}")
    await portal.ask(NODE, portal.bearer, id=NOWHERE)
    await portal.ask("{ client { " + "name " * 600 + "} }", portal.bearer)
    await portal.ask(NAME, portal.bearer[:-1] + "x")
    await portal.http.post("/stripe/webhook", content='{"name": "Ana Prieto"}')
    await portal.read_audit.flush()


async def sign_ins(home: SigningIn) -> None:
    """Sign in, switch, fail to sign in, and end sign-ins."""
    first, second = await home.sign_in(), await home.sign_in()
    await home.enter("no secret", "no nonce")
    (other,) = [
        one["id"]
        for one in (await home.ask(SIGN_INS, second)).json()["data"]["viewer"]["signIns"]
        if not one["isCurrent"]
    ]
    revoked = await home.ask(REVOKE, second, id=other)
    assert revoked.json()["data"]["revokeSignIn"]["__typename"] == "SignInRevoked"
    assert not await home.works(first)
    (guardian,) = [one["id"] for one in await home.identities(second) if not one["isCurrent"]]
    assert (await home.switch(second, guardian))["__typename"] == "ViewerSwitched"
    assert (await home.ask(SIGN_OUT, second)).json()["data"]["signOut"]["signedOut"]


async def test_every_event_is_emitted_with_its_fields(
    portal: Paying, home: SigningIn, kept: Kept
) -> None:
    await refusals(portal)
    await sign_ins(home)
    told: Told = [json.loads(line) for line in kept.lines]
    fields = {one.name: {"event", "at", *one.fields} for one in EVENTS}
    assert {one["event"] for one in told} == fields.keys()
    for one in told:
        assert one.keys() <= fields[one["event"]]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", one["at"])
    # Each field occurs at least once.
    for name, of_event in fields.items():
        assert set().union(*(one for one in told if one["event"] == name)) == of_event, name


async def test_no_event_contains_names_tokens_or_variables(
    portal: Paying, home: SigningIn, kept: Kept
) -> None:
    await refusals(portal)
    await sign_ins(home)
    coordinates = {
        f"{type_.name}.{name}"
        for type_ in schema()._schema.type_map.values()
        for name in getattr(type_, "fields", ())
    }
    words = {one.name for one in EVENTS} | {scope.written for scope in Scope} | coordinates
    words |= set(ViewerKind)
    for line in kept.lines:
        assert "\n" not in line
        told = json.loads(line)
        del told["at"]
        for value in told.values():
            for each in value if isinstance(value, list) else [value]:
                assert isinstance(each, int) or each in words or PLAIN.fullmatch(each), line
        assert not MARKERS.search(line), line


# Ids of rows, keyed hashes, codes and names of limits.
PLAIN = re.compile(r"[0-9a-f-]{36}|[0-9a-f]{8}:[0-9a-f]{64}|[A-Z]+(_[A-Z]+)*|[a-z]+")
MARKERS = re.compile(r"prieto|ana|osei|ben|gail|ahn|cbp_|example|127\.0|00000000-0000-7000", re.I)


async def test_refusals_are_in_the_audit_log_too(portal: Paying) -> None:
    await refusals(portal)
    found = sorted(await portal.all(AccessEntry), key=lambda one: str(one.id))
    refused = [
        (one.kind, one.client_id, one.operation, one.fields)
        for one in found
        if one.action == "REFUSED"
    ]
    assert refused == [
        # A client sees the dashboard that was refused the client's name.
        ("DASHBOARD", portal.client_id, "Prieto", ["Client.name"]),
        ("CLIENT", None, "Prieto", ["Client.name"]),
        ("CLIENT", None, None, ["Query.node"]),
    ]


async def test_sign_ins_are_in_the_audit_log(home: SigningIn) -> None:
    await sign_ins(home)
    found = sorted(await home.all(AccessEntry), key=lambda one: str(one.id))
    done = [
        (one.action, one.kind, one.client_id, one.name)
        for one in found
        if one.action in ("SIGN_IN", "SIGN_OUT")
    ]
    ana, both = (home.client_id, "Ana Prieto"), sorted([home.client_id, home.other_id])
    assert done == [
        ("SIGN_IN", "CLIENT", *ana),
        ("SIGN_IN", "CLIENT", *ana),
        ("SIGN_OUT", "CLIENT", *ana),
        # As the guardian, who looks after two clients.
        *(("SIGN_IN", "CONTACT", each, "Gail Ahn") for each in both),
        *(("SIGN_OUT", "CONTACT", each, "Gail Ahn") for each in both),
    ]
    assert all(one.address_hash for one in found)


def test_documentation_lists_the_events_and_their_fields() -> None:
    text = (PROJECT / "docs" / "security-events.md").read_text()
    told = [line for line in text.splitlines() if line.startswith("| `")]
    events = [
        f"| `{one.name}` | {one.meaning} | {', '.join(f'`{name}`' for name in one.fields)} |"
        for one in EVENTS
    ]
    assert told == [*events, *(f"| `{name}` | {meaning} |" for name, meaning in FIELDS.items())]
    assert {name for one in EVENTS for name in one.fields} == FIELDS.keys()


def test_event_with_an_unknown_field_is_refused(kept: Kept) -> None:
    with pytest.raises(ValueError, match="no field"):
        security_events.WEBHOOK_REFUSED.emit(address="x")
    assert kept.lines == []


def test_events_are_written_to_the_configured_stream(capsys: pytest.CaptureFixture[str]) -> None:
    event, log = security_events.WEBHOOK_REFUSED, security_events.log
    before = log.level, log.propagate, log.handlers[:]
    try:
        for destination in SecurityLog:
            security_log.configure(destination)
            event.emit(code="X")
            out, err = capsys.readouterr()
            assert bool(out) is (destination is SecurityLog.STDOUT)
            assert bool(err) is (destination is SecurityLog.STDERR)
            assert all(json.loads(line)["code"] == "X" for line in (out + err).splitlines())
    finally:
        log.level, log.propagate, log.handlers[:] = before
