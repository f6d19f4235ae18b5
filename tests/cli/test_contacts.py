"""`portal contact`: links contacts to the clients that they look after."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from server.cli import main as cli
from tests.support.portal import KEY, Portal, served


def portal(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["contact", *arguments])


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Portal:
    """Return a function that serves a practice from a file, for one request at a time."""
    url = f"sqlite:///{tmp_path / 'portal.db'}"
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("TOKEN_KEY", KEY)

    async def made() -> Portal:
        async with served(url) as it:
            return it

    return asyncio.run(made())


LINK = ("--name", "Gail Ahn", "--email", "gail@example.com", "--relation", "GUARDIAN")


def test_contact_is_linked_listed_and_unlinked(there: Portal) -> None:
    client = f"cli_{there.client_id}"
    linked = portal("link", client, *LINK, "--documents")
    assert linked.exit_code == 0, linked.stderr
    contact = linked.stdout.partition(":")[0]
    assert "sees the documents." in linked.stdout

    other_case = [part.replace("gail@", " Gail@") for part in LINK]
    again = portal("link", client, *other_case, "--pay")
    assert again.stdout.partition(":")[0] == contact
    assert "may pay." in again.stdout
    other = portal("link", f"cli_{there.other_id}", *LINK, "--documents", "--pay")
    assert other.stdout.partition(":")[0] == contact

    lines = portal("list", client).stdout.splitlines()
    assert any(contact in line and "Gail Ahn <gail@example.com>  may pay" in line for line in lines)
    assert portal("unlink", contact, client).exit_code == 0
    assert contact not in portal("list", client).stdout
    assert contact in portal("list", f"cli_{there.other_id}").stdout
    assert portal("unlink", contact, client).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("link", "cli_x", *LINK, "--pay"), "There is no client cli_x."),
        (("link", "CLIENT", *LINK), "needs a right"),
        (("unlink", "x", "CLIENT"), "was not linked"),
        (("list", "cli_00000000-0000-7000-8000-000000000000"), "There is no client"),
    ],
)
def test_invalid_link_is_refused_with_a_reason(
    there: Portal, arguments: tuple[str, ...], said: str
) -> None:
    client = f"cli_{there.client_id}"
    told = portal(*(client if one == "CLIENT" else one for one in arguments))
    assert told.exit_code == 1
    assert said in told.stderr
