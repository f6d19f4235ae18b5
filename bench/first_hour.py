"""The steps of a practice's first hour, with the time of each: `python -m bench.first_hour`.

It begins with an empty PostgreSQL and ends with a database that was restored and recovered. The
practice is that of docs/import/, with the records of an invented export. Each step is a command of
the documents, or a request to the server that they start, and its result is checked.
"""

import asyncio
import datetime as dt
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from bench.commands import database_server, say
from tests.support import postgres
from tests.support.backups import backed_up, restored
from tests.support.demo_server import PROJECT, free_port
from tests.support.mail_server import SENDER, Mailbox, mail_server

LINK = re.compile(r"#/sign-in/(\S+)")
PATIENCE_S = 120
CARD = {
    "number": "4242 4242 4242 4242",
    "expMonth": 12,
    "expYear": 2031,
    "cvc": "123",
    "name": "A client",
    "zip": "04101",
}

# A client who owes something and has an address for the mail.
DEBTORS = """
{ clients(withBalance: true, first: 100) { nodes { email } } }
"""
REQUEST_LINK = "mutation ($email: String!) { requestSignInLink(input: {email: $email}) { nonce } }"
SIGN_IN = """
mutation ($secret: String!, $nonce: String!) {
  signIn(input: { secret: $secret, nonce: $nonce }) { ... on SignedIn { token } }
}
"""
BALANCE = "{ client { balance { payable { amount currency } } } }"
PAY = """
mutation ($expected: MoneyInput!, $card: String!, $key: String!) {
  pay(input: {
    expectedAmount: $expected
    idempotencyKey: $key
    source: { newCard: { confirmationToken: $card } }
  }) {
    __typename
    ... on UserError { message }
  }
}
"""


@dataclass
class Hour:
    """The steps that were made, with their seconds, and the settings of the commands."""

    folder: Path
    environment: dict[str, str]
    steps: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step."""
        say(name)
        began = time.monotonic()
        yield
        self.steps.append((name, time.monotonic() - began))

    def portal(self, *arguments: str, status: int = 0) -> str:
        """Run a command of the portal, and return its output. Raise Unexpected if it fails."""
        command = [sys.executable, "-m", "server", *arguments]
        ended = subprocess.run(
            command,
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode != status:
            raise Unexpected(f"portal {' '.join(arguments)}: {ended.stdout}{ended.stderr}")
        return ended.stdout.strip()

    @contextmanager
    def serving(self) -> Iterator[httpx.Client]:
        """Serve the database, and yield a client of the server."""
        port, said = free_port(), self.folder / "served.txt"
        command = [sys.executable, "-m", "server", "serve", "--page", "--port", str(port)]
        with (
            said.open("a") as output,
            subprocess.Popen(
                command, cwd=PROJECT, env=self.environment, stdout=output, stderr=output
            ) as process,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
        ):
            try:
                wait_until(lambda: is_ready(client), "portal serve is not ready")
                yield client
            finally:
                process.terminate()


class Unexpected(Exception):
    """A step with another result than the documents promise."""


def main(
    clients: Annotated[int, typer.Option(min=20, help="The clients of the practice.")] = 220,
) -> None:
    """Follow the documents from an empty PostgreSQL to a recovered backup."""
    with (
        tempfile.TemporaryDirectory() as folder,
        database_server() as server,
        mail_server() as mailbox,
    ):
        try:
            hour = asyncio.run(follow(server, Path(folder), mailbox, clients))
        except Unexpected as error:
            say(str(error))
            raise typer.Exit(1) from None
    width = max(len(name) for name, _ in hour.steps)
    for name, seconds in [*hour.steps, ("together", sum(took for _, took in hour.steps))]:
        typer.echo(f"{name:{width}}  {seconds:6.1f} s")


async def follow(server: str, folder: Path, mailbox: Mailbox, clients: int) -> Hour:
    """Make all steps. The database is restored into another one of the same server."""
    async with postgres.database(server) as url:
        hour = Hour(folder, settings(url, folder, mailbox))
        token = await asyncio.to_thread(before_backup, hour, mailbox, clients)
        with hour.step("pg_dump"):
            backup = await backed_up(url, folder)
        with hour.step("a card payment after the backup"), hour.serving() as client:
            pay(client, token)
        with ExitStack() as restoring:
            restoring.enter_context(hour.step("pg_restore into another database"))
            async with restored(url, backup) as restored_url:
                restoring.close()
                hour.environment["DATABASE_URL"] = restored_url
                await asyncio.to_thread(after_restore, hour, token)
    return hour


def settings(url: str, folder: Path, mailbox: Mailbox) -> dict[str, str]:
    """Return the settings that docs/setup.md gives, for this machine."""
    return os.environ | {
        "DATABASE_URL": url,
        "DATABASE_OWNER_URL": postgres.as_owner(url),
        "TOKEN_KEY": secrets.token_hex(32),
        "FIELD_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "SMTP_URL": mailbox.url,
        "MAIL_FROM": SENDER,
        "SANDBOX": "true",
        "SANDBOX_FILE": str(folder / "sandbox.sqlite"),
    }


def before_backup(hour: Hour, mailbox: Mailbox, clients: int) -> str:
    """Make the practice's first day, and return the token of a client who signed in and paid."""
    portal, export = hour.portal, str(hour.folder / "export")
    with hour.step("portal migrate"):
        portal("migrate")
    with hour.step("portal practice create"):
        practice = portal("practice", "create", "docs/import/practice.toml")
    with hour.step(f"portal demo-export of {clients} clients"):
        portal("demo-export", export, "--clients", str(clients))
    mapped = export, "--mapping", "docs/import/mapping.toml", "--practice", practice
    with hour.step("portal import"):
        say(portal("import", *mapped))
    with hour.step("portal import of the same files: nothing is new"):
        portal("import", *mapped)
    issuing = "issue", "statements", "--practice", practice, "--month", f"{last_month():%Y-%m}"
    with hour.step("statements of the last month"):
        say(portal(*issuing))
    with hour.step("a payment in cash, and an invoice issued and voided"):
        payer = portal("client", "create", "--practice", practice, "--name", "Ana Prieto")
        invoice = portal("invoice", "issue", payer, "--line", "Report=120.00")
        portal("payment", "record", payer, "--amount", "20", "--method", "CASH")
        portal("invoice", "void", invoice.split()[0])
    with hour.step("portal token create, for a dashboard"):
        scopes = (f"--scope={scope}" for scope in ("billing:read", "phi:read"))
        dashboard = portal("token", "create", "--name=hour", f"--practice={practice}", *scopes)
    with hour.step("portal serve: a client signs in by mail and pays"), hour.serving() as client:
        token = sign_in(client, mailbox, debtor(client, dashboard.split()[-1]))
        pay(client, token)
        own = answer(client, "{ client { id } }", token)["client"]["id"]
    with hour.step("another invoice of that client"):
        portal("invoice", "issue", own, "--line", "Report=150.00")
    return token


def after_restore(hour: Hour, token: str) -> None:
    """Recover the restored database, and see that the payment after the backup is there."""
    with hour.step("portal serve refuses the restored database"):
        hour.portal("serve", status=1)
    with hour.step("portal recover"):
        say(hour.portal("recover"))
    with hour.step("portal verify"):
        hour.portal("verify")
    with hour.step("portal serve: nothing is due twice"), hour.serving() as client:
        due = payable(client, token)["amount"]
        if Decimal(due):
            raise Unexpected(f"{due} is due again")


def debtor(client: httpx.Client, token: str) -> str:
    """Return the address of a client who owes something."""
    found = answer(client, DEBTORS, token)["clients"]["nodes"]
    return str(next(one["email"] for one in found if one["email"]))


def sign_in(client: httpx.Client, mailbox: Mailbox, email: str) -> str:
    """Sign a client in by the link of a mail, and return the token."""
    nonce = answer(client, REQUEST_LINK, None, email=email)["requestSignInLink"]["nonce"]
    wait_until(lambda: bool(mailbox.letters), "no mail came")
    (secret,) = LINK.findall(mailbox.text())
    token: str = answer(client, SIGN_IN, None, secret=secret, nonce=nonce)["signIn"]["token"]
    return token


def pay(client: httpx.Client, token: str) -> None:
    """Pay all that is due by a new card of the sandbox."""
    due = payable(client, token)
    card = client.post("/sandbox/confirmation_tokens", json=CARD).raise_for_status().json()
    made = answer(client, PAY, token, expected=due, card=card["id"], key=secrets.token_hex(16))
    left = payable(client, token)["amount"]
    if made["pay"]["__typename"] != "PaySucceeded" or Decimal(left) or not Decimal(due["amount"]):
        raise Unexpected(f"{made} of {due}, and {left} is left")


def payable(client: httpx.Client, token: str) -> dict[str, str]:
    """Return what is due now, as an amount and a currency."""
    found: dict[str, str] = answer(client, BALANCE, token)["client"]["balance"]["payable"]
    return found


def answer(client: httpx.Client, query: str, token: str | None, **variables: Any) -> dict[str, Any]:
    """Return the data of a GraphQL response. Raise Unexpected if it has errors."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = {"query": query, "variables": variables}
    said = client.post("/graphql", json=body, headers=headers).json()
    if "errors" in said:
        raise Unexpected(f"{said['errors']}")
    data: dict[str, Any] = said["data"]
    return data


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx.HTTPError:
        return False


def wait_until(is_so: Callable[[], bool], otherwise: str) -> None:
    """Wait for a condition. Raise Unexpected with these words if it takes too long."""
    ends = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > ends:
            raise Unexpected(otherwise)
        time.sleep(0.05)


def last_month() -> dt.date:
    return dt.date.today().replace(day=1) - dt.timedelta(days=1)  # noqa: DTZ011


if __name__ == "__main__":
    typer.run(main)
