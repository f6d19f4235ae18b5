"""The command `portal demo`: invented practices, and a token for each kind of viewer."""

import asyncio
import datetime as dt
import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from socket import socket
from typing import Any

import typer
import uvicorn
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import demo
from billing.encryption import FieldKeys
from execution.introspection import Introspection
from identity import tokens
from identity.token_keys import hashed
from identity.tokens import PERSONAL_SCOPES, Subject
from models import Client, Practice, Scope, Token, database, migrations
from server import secret_files
from server.app import app
from server.cli.console import run
from server.cli.demo_letterheads import dress
from server.cli.demo_sandbox import seeded
from server.cli.demo_stripe import DemoAccount, move_to_stripe
from server.cli.single_process import sole_server
from server.command_errors import CommandError
from server.http.graphiql import PageConfig, Tab
from server.http.serving import uvicorn_options
from server.settings import Settings
from server.web_files import QUERIES

# The demo's folder, ignored by git. It contains the tokens, so only its owner may read it.
HOME = Path(".demo")
LASTS = dt.timedelta(days=90)
# A token that expires within a day is replaced.
SPARE = dt.timedelta(days=1)
DASHBOARD_SCOPES = (Scope.BILLING_READ, Scope.AGGREGATES_READ)
WHO = {
    "client": "a client, who owes something",
    "sibling": "another client of the same practice",
    "guardian": "the guardian of two minors",
    "stranger": "a client of another practice",
    "dashboard": "a dashboard, without health information",
}


class NotADemo(CommandError):
    """The database has rows that are not the demo's."""


def serve_demo(
    port: int, database: str | None, json_file: Path | None, account: DemoAccount | None = None
) -> None:
    """Serve until interrupted, after creating the missing parts of the demo.

    Payments go to the `account` at Stripe, or without one to the sandbox.
    """
    if "_live_" in secret_files.secret("STRIPE_API_KEY"):
        raise NotADemo("STRIPE_API_KEY is a live key: the demo doesn't run with one.")
    HOME.mkdir(mode=0o700, exist_ok=True)
    file = "stripe.sqlite" if account else "portal.sqlite"
    url = database or f"sqlite:///{HOME / file}"
    with sole_server(url):
        kept = new_keys() | stored_tokens(url)
        address = f"http://127.0.0.1:{port}"
        given, email = run(prepare_database(url, kept, f"{address}/portal/", account))
        write_private(HOME / "tokens.json", kept | {"database": url, "tokens": given})

        def started() -> None:
            print_addresses(address, given, email, account)
            if json_file is not None:
                write_private(json_file, {"graphql": f"{address}/graphql", "tokens": given})

        listen(settings(url, address, kept, account), port, given["client"], started)


def settings(
    url: str, address: str, keys: Mapping[str, Any], account: DemoAccount | None
) -> Settings:
    # These override the environment, so that the demo never moves money.
    sandbox: dict[str, Any] = {"stripe_api_key": None, "stripe_api_base": None, "sandbox": True}
    payments: dict[str, Any] = account.settings() | {"sandbox": False} if account else sandbox
    return Settings(
        **payments,
        database_url=url,
        public_url=address,
        token_key=keys["token_key"],
        field_key=[SecretStr(keys["field_key"])],
        introspection=Introspection.EVERYONE,
        # The demo's mail is not delivered.
        smtp_url=None,
        sandbox_file=str(HOME / "sandbox.sqlite"),
        # A name of another website that resolves to this machine is refused.
        allowed_hosts=["127.0.0.1", "localhost"],
        forwarded_allow_ips=[],
    )


class Server(uvicorn.Server):
    """A server that calls a function once it listens."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self.say = started

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self.say()


def listen(settings: Settings, port: int, token: str, started: Callable[[], None]) -> None:
    application = app(settings, page=PageConfig(token, tabs()), local=True)
    if settings.sandbox:
        asyncio.run(seeded(settings.database_url, application.state.sandbox.store))
    config = uvicorn.Config(
        application,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        **uvicorn_options(
            settings.connection_limits, settings.public_url, settings.shutdown_timeout_s
        ),
    )
    Server(config, started).run()


def tabs() -> list[Tab]:
    """Return a tab for each query of docs/api.md that GraphiQL shows."""
    return [
        Tab(file.stem.replace("-", " ").capitalize(), file.read_text())
        for file in sorted(QUERIES.glob("*.graphql"), reverse=True)
    ]


# -- rows and tokens -------------------------------------------------------------------------------


async def prepare_database(
    url: str, kept: Mapping[str, Any], page: str, account: DemoAccount | None
) -> tuple[dict[str, str], str]:
    """Prepare the demo's database. Return a token for each of WHO, and the client's e-mail address.

    `kept` holds this machine's keys and stored tokens. `page` is the page for signing in, which
    depends on the demo's port.
    """
    engine = database.engine(url)
    await migrations.upgrade(engine)
    now = dt.datetime.now(dt.UTC)
    try:
        subjects = await remaining(engine)
        if subjects is None:
            subjects = await load_demo(engine, now.date())
            await dress(engine, FieldKeys([kept["field_key"]]), now.date())
        if account is not None:
            await move_to_stripe(engine)
        known = kept.get("tokens", {})
        async with engine.begin() as conn:
            await conn.execute(update(Practice).values(portal_url=page))
            statement = select(Client.email).where(Client.id == subjects["client"].client_id)
            given = {
                who: await valid_token(conn, kept["token_key"], who, subject, known.get(who), now)
                for who, subject in subjects.items()
            }
            return given, str(await conn.scalar(statement))
    finally:
        await engine.dispose()


async def remaining(engine: AsyncEngine) -> dict[str, Subject] | None:
    """Return the owners of the demo's tokens from a database that has them, or None from an empty
    one.
    """
    columns = Token.name, Token.practice_id, Token.client_id, Token.contact_id
    async with engine.connect() as conn:
        found = (await conn.execute(select(*columns))).all()
        is_empty = (await conn.execute(select(Practice.id).limit(1))).first() is None
    subjects = {row.name.removeprefix("demo "): Subject(*row[1:]) for row in found}
    if is_empty:
        return None
    if not WHO.keys() <= subjects.keys():
        raise NotADemo("The database has rows that are not the demo's: choose an empty one.")
    return {who: subjects[who] for who in WHO}


async def load_demo(engine: AsyncEngine, today: dt.date) -> dict[str, Subject]:
    """Create the demo's rows, and return the owners of its tokens."""
    typer.echo("Making two years of demo data …")
    people = await demo.load(engine, today)
    return {
        "client": Subject(people.practice_id, client_id=people.client_id),
        "sibling": Subject(people.practice_id, client_id=people.sibling_id),
        "guardian": Subject(people.practice_id, contact_id=people.guardian_id),
        "stranger": Subject(people.other_practice_id, client_id=people.stranger_id),
        "dashboard": Subject(people.practice_id),
    }


async def valid_token(
    conn: AsyncConnection,
    key: str,
    who: str,
    subject: Subject,
    kept: str | None,
    now: dt.datetime,
) -> str:
    """Return the stored token, or a new one if it is no longer valid."""
    if kept is not None:
        works = select(Token.id).where(
            Token.hash == hashed(kept, key),
            Token.revoked_at.is_(None),
            Token.expires_at > now + SPARE,
        )
        if (await conn.execute(works)).first() is not None:
            return kept
    scopes = DASHBOARD_SCOPES if who == "dashboard" else PERSONAL_SCOPES
    _, token = await tokens.create_token(
        conn, key, subject, f"demo {who}", frozenset(scopes), now, LASTS
    )
    return token


# -- files of the demo -----------------------------------------------------------------------------


def stored_tokens(url: str) -> dict[str, Any]:
    """Return the stored keys and tokens of this database, if there are any."""
    try:
        kept = json.loads((HOME / "tokens.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return kept if kept.get("database") == url else {}


def new_keys() -> dict[str, Any]:
    return {"token_key": secrets.token_hex(32), "field_key": Fernet.generate_key().decode()}


def write_private(path: Path, content: Any) -> None:
    """Write a file as a whole, with mode 600 from its first byte."""
    partial = path.with_name(path.name + ".part")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file, indent=2)
    partial.replace(path)


# -- terminal output -------------------------------------------------------------------------------


def print_addresses(
    address: str, given: Mapping[str, str], email: str, account: DemoAccount | None
) -> None:
    lines = [f"  {given[who]}  {who}: {what}" for who, what in WHO.items()]
    query = "{ client { name balance { amount { amount currency } } } }"
    sandbox = f"{address}/sandbox/      (its test cards, refunds, disputes and events)"
    payments = f"Stripe    your test account. {account.said}" if account else f"Sandbox   {sandbox}"
    typer.echo(
        f"""
The demo is served until you press Ctrl-C.

  Portal    {address}/portal/       (in a browser; sign in as {email})
  Mail      {address}/sandbox/mail  (where the link to sign in arrives)
  {payments}
  GraphiQL  {address}/graphql       (in a browser; the client's token is filled in)
  API       {address}/graphql       (POST)

Tokens, for the header Authorization: Bearer …
{chr(10).join(lines)}

A query to paste:

  curl -s {address}/graphql -H 'Content-Type: application/json' \\
    -H 'Authorization: Bearer {given["client"]}' \\
    -d '{{"query": "{query}"}}'
"""
    )
