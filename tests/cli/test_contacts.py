"""`portal contact`: links contacts to the clients that they look after."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from models import AccessEntry, ActorKind, Contact, ContactRight, Relation, Row
from server.cli import contact_admin
from server.cli import main as cli
from server.settings import Settings
from tests.support.portal import KEY, Portal, served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


async def portal(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, cli.app, ["contact", *arguments])


@pytest.fixture
async def there(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Portal]:
    """Yield a practice, whose database the command finds in its environment."""
    async with new_database() as url, served(url) as it:
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("TOKEN_KEY", KEY)
        yield it


LINK = ("--name", "Gail Ahn", "--email", "gail@example.com", "--relation", "GUARDIAN")


async def test_contact_is_linked_listed_and_unlinked(there: Portal) -> None:
    client = f"cli_{there.client_id}"
    linked = await portal("link", client, *LINK, "--documents")
    assert linked.exit_code == 0, linked.stderr
    contact = linked.stdout.partition(":")[0]
    assert "sees the documents." in linked.stdout

    other_case = [part.replace("gail@", " Gail@") for part in LINK]
    again = await portal("link", client, *other_case, "--pay")
    assert again.stdout.partition(":")[0] == contact
    assert "may pay." in again.stdout
    other = await portal("link", f"cli_{there.other_id}", *LINK, "--documents", "--pay")
    assert other.stdout.partition(":")[0] == contact

    lines = (await portal("list", client)).stdout.splitlines()
    assert any(contact in line and "Gail Ahn <gail@example.com>  may pay" in line for line in lines)
    assert (await portal("unlink", contact, client)).exit_code == 0
    assert contact not in (await portal("list", client)).stdout
    assert contact in (await portal("list", f"cli_{there.other_id}")).stdout
    assert (await portal("unlink", contact, client)).exit_code == 1


async def test_last_day_of_a_right_is_listed_and_taken_back(there: Portal) -> None:
    client = f"cli_{there.client_id}"
    linked = await portal("link", client, *LINK, "--documents", "--pay", "--until", "2027-06-30")
    assert "sees the documents and may pay until 2027-06-30." in linked.stdout
    assert "may pay until 2027-06-30" in (await portal("list", client)).stdout
    await portal("link", client, *LINK, "--pay")
    assert "until" not in (await portal("list", client)).stdout
    wrong = await portal("link", client, *LINK, "--pay", "--until", "30 June")
    assert (wrong.exit_code, "is not a day" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("link", "cli_x", *LINK, "--pay"), "There is no client cli_x."),
        (("link", "CLIENT", *LINK), "needs a right"),
        (("link", "CLIENT", *LINK, "--email", "nowhere", "--pay"), "email "),
        (("link", "CLIENT", *LINK, "--name", " ", "--pay"), "name "),
        (("unlink", "x", "CLIENT"), "was not linked"),
        (("list", "cli_00000000-0000-7000-8000-000000000000"), "There is no client"),
    ],
)
async def test_invalid_link_is_refused_with_a_reason(
    there: Portal, arguments: tuple[str, ...], said: str
) -> None:
    client = f"cli_{there.client_id}"
    told = await portal(*(client if one == "CLIENT" else one for one in arguments))
    assert told.exit_code == 1
    assert said in told.stderr


async def rows(there: Portal, table: type[Row]) -> list[Any]:
    async with there.engine.connect() as conn:
        return list(await conn.execute(select(table)))


async def test_link_is_an_entry_of_the_operator(there: Portal) -> None:
    command = "portal contact link"
    for _ in range(2):
        assert (await portal("link", f"cli_{there.client_id}", *LINK, "--pay")).exit_code == 0
    entries = [one for one in await rows(there, AccessEntry) if one.operation == command]
    # The new contact is an entry of the practice; both links are entries of the client.
    told = [one.client_id for one in sorted(entries, key=lambda one: one.id)]
    assert told == [None, there.client_id, there.client_id]
    assert {one.kind for one in entries} == {ActorKind.OPERATOR}


async def test_address_linked_twice_at_once_is_one_contact(there: Portal) -> None:
    settings = Settings(database_url=there.url, token_key=KEY)
    right = contact_admin.Right(Relation.GUARDIAN, sees_documents=True, can_pay=False)
    clients = [f"cli_{there.client_id}", f"cli_{there.other_id}"] * 3
    await asyncio.gather(
        *(
            contact_admin.link_contact(settings, client, "Gail Ahn", "gail@example.com", right)
            for client in clients
        )
    )
    (contact,) = [one for one in await rows(there, Contact) if one.email == "gail@example.com"]
    linked = [one for one in await rows(there, ContactRight) if one.contact_id == contact.id]
    assert {one.client_id for one in linked} == {there.client_id, there.other_id}
