"""docs/setup.md: its lines lead from an empty PostgreSQL to a client who signs in."""

import asyncio
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import postgres
from tests.support.demo_server import PROJECT, free_port
from tests.support.mail_server import SENDER, Mailbox, mail_server

pytestmark = [pytest.mark.server, pytest.mark.faults]

REQUEST = 'mutation { requestSignInLink(input: { email: "ana@example.com" }) { nonce } }'
SIGN_IN = """
mutation ($secret: String!, $nonce: String!) {
  signIn(input: { secret: $secret, nonce: $nonce }) { __typename ... on SignedIn { token } }
}
"""
CLIENT = """
{ client { name balance { payable { amount } } practice { onlinePayments { isEnabled } } } }
"""
LINK = re.compile(r"http://127\.0\.0\.1:8000/portal/#/sign-in/(\S+)")
MAIL_WITHIN_S = 60
# Eight commands start one after another.
SERVED_WITHIN_S = 400


def shell_lines() -> list[str]:
    """Return the lines of the shell in the document."""
    document = (PROJECT / "docs" / "setup.md").read_text()
    return document.partition("```sh\n")[2].partition("```")[0].splitlines()


def script(url: str, mailbox: str, port: int) -> str:
    """Return the lines for this machine: its database, its mail server and its port."""
    own = {
        "postgresql://portal:secret@127.0.0.1/portal": url,
        "postgresql://portal_owner:secret@127.0.0.1/portal": postgres.as_owner(url),
        "smtp://user:secret@mail.example.com:587": mailbox,
        "Billing <billing@example.com>": SENDER,
        "$PWD/.venv/bin": str(Path(sys.executable).parent),
        "portal serve --page": f"exec portal serve --page --port {port}",
    }
    lines = "\n".join(shell_lines())
    for text, here in own.items():
        assert text in lines
        lines = lines.replace(text, f"'{here}'" if "://" in text else here)
    return f"set -eu\n{lines}\n"


@contextmanager
def following_document(folder: Path, url: str, mailbox: Mailbox) -> Iterator[str]:
    """Run the document's lines in a folder, and yield the address that the last one serves."""
    port = free_port()
    shutil.copytree(PROJECT / "docs" / "import", folder / "docs" / "import")
    with (folder / "said.txt").open("w") as said:
        command = ["sh", "-c", script(url, mailbox.url, port)]
        serving = subprocess.Popen(command, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
    try:
        address = f"http://127.0.0.1:{port}"
        ends = time.monotonic() + SERVED_WITHIN_S
        while not is_ready(address):
            is_waiting = serving.poll() is None and time.monotonic() < ends
            assert is_waiting, (folder / "said.txt").read_text()
            time.sleep(0.2)
        yield address
    finally:
        serving.terminate()
        serving.wait(30)


def is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz").is_success
    except httpx.HTTPError:
        return False


def sign_in_and_look(address: str, mailbox: Mailbox) -> dict[str, Any]:
    """Sign in with the link of a mail, and return what the client sees."""

    def answer(query: str, token: str | None = None, **variables: str) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = {"query": query, "variables": variables}
        response = httpx.post(f"{address}/graphql", json=body, headers=headers, timeout=60)
        return response.json()["data"]

    assert httpx.get(f"{address}/portal/").status_code == 200
    nonce = answer(REQUEST)["requestSignInLink"]["nonce"]
    ends = time.monotonic() + MAIL_WITHIN_S
    while not mailbox.letters and time.monotonic() < ends:
        time.sleep(0.1)
    (secret,) = LINK.findall(mailbox.text())
    signed_in = answer(SIGN_IN, secret=secret, nonce=nonce)["signIn"]
    client: dict[str, Any] = answer(CLIENT, signed_in["token"])["client"]
    return client


async def test_lines_lead_to_a_client_who_signs_in(postgres_url: str, tmp_path: Path) -> None:
    def follow(url: str) -> dict[str, Any]:
        with mail_server() as mailbox, following_document(tmp_path, url, mailbox) as address:
            return sign_in_and_look(address, mailbox)

    async with postgres.database(postgres_url) as url:
        assert await asyncio.to_thread(follow, url) == {
            "name": "Ana Prieto",
            "balance": {"payable": {"amount": "100.00"}},
            "practice": {"onlinePayments": {"isEnabled": True}},
        }
    said = (tmp_path / "said.txt").read_text()
    assert "The balances of 3 clients are those of totals.csv." in said
    assert "Statements of 2026-10 issued: 3, for clients: 3." in said
