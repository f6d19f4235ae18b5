"""Clients on the command line: entered, changed, archived and listed."""

import datetime as dt
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Row, and_, select

from billing.audit_log import record
from billing.entry import merging, people
from billing.entry.commands import PracticeEntries, practice_entries
from billing.entry.people import CLIENT, ClientDetails
from billing.entry.practices import stored_address
from billing.entry.rows import EntryChange
from models import AccessAction, Client, ClientNamePart, Practice
from models.names import fold_name
from server.cli.entering import Key, entering_for, external_id
from server.cli.merging import merged
from server.cli.operators import operator
from server.cli.rows import find_row, row_id_of, writing
from server.clock import utc_now
from server.settings import Settings

OPTIONAL = "email phone date_of_birth clinician address"


async def create_client(
    settings: Settings, practice: str, given: Mapping[str, Any], external: Key
) -> str:
    """Enter a client, or change the one that has the key of another system. Return the id."""
    key, details = external_id(external), merged_details({}, given)
    command = "portal client create"
    async with (
        entering_for(settings, command, Practice, practice) as (context, row),
        practice_entries(context, row.id) as entries,
    ):
        if key is None:
            return f"cli_{await entries.enter(CLIENT.add, details)}"
        return f"cli_{await entries.upsert(CLIENT, details, key)}"


async def update_client(
    settings: Settings, client: str, given: Mapping[str, Any], clear: Collection[str]
) -> str:
    """Change the given details of a client, and return a sentence about the change."""
    async with client_change(settings, client, "portal client update") as (entries, row):
        current = {name: getattr(row, name) for name in ("name", *OPTIONAL.split()[:3])}
        current |= {"clinician": row.clinician_id, "address": stored_address(dict(row._mapping))}
        details = merged_details(current, given, clear)
        if details == merged_details(current, {}):
            return "Nothing is changed."
        await entries.enter(people.change_client, people.ClientChange(row.id, details))
    return f"cli_{row.id} is changed."


async def archive_client(settings: Settings, client: str, on: dt.date | None) -> str:
    async with client_change(settings, client, "portal client archive") as (entries, row):
        await entries.enter(people.archive_client, people.ClientArchive(row.id, on))
    return f"cli_{row.id} is archived."


async def restore_client(settings: Settings, client: str) -> str:
    async with client_change(settings, client, "portal client restore") as (entries, row):
        await entries.enter(people.restore_client, people.ClientRestore(row.id))
    return f"cli_{row.id} is a current client again."


async def merge_clients(settings: Settings, client: str, into: str) -> str:
    """Merge two records of a client, and return a sentence."""
    async with client_change(settings, client, "portal client merge") as (entries, row):
        other = await find_row(entries.conn, Client, into)
        change = await merging.merge_clients(entries, merging.ClientMerge(row.id, other.id))
    if change is EntryChange.UNCHANGED:
        return "Nothing is changed."
    return f"cli_{row.id} is merged into cli_{other.id}."


@asynccontextmanager
async def client_change(
    settings: Settings, client: str, command: str
) -> AsyncIterator[tuple[PracticeEntries, Row[Any]]]:
    """Yield the entries of a command that changes a client, and the client's current row."""
    async with (
        entering_for(settings, command, Client, client) as (context, found),
        practice_entries(context, found.practice_id) as entries,
    ):
        yield entries, await find_row(entries.conn, Client, client)


def merged_details(
    current: Mapping[str, Any], given: Mapping[str, Any], clear: Collection[str] = ()
) -> ClientDetails:
    values = merged(current, given, clear, OPTIONAL)
    clinician = values.pop("clinician", None)
    return ClientDetails(**values, clinician_id=clinician and row_id_of(clinician))


async def list_clients(
    settings: Settings, practice: str, search: str | None, archived: bool
) -> list[dict[str, Any]]:
    """Return the clients of a practice by name, as JSON has them."""
    async with writing(settings) as conn:
        row = await find_row(conn, Practice, practice)
        found = select(Client.__table__).where(Client.practice_id == row.id)
        left = Client.archived_on
        found = found.where(left.is_not(None) if archived else left.is_(None))
        if search is not None:
            text = fold_name(search)
            part = and_(
                ClientNamePart.practice_id == row.id,
                ClientNamePart.client_id == Client.id,
                ClientNamePart.text.startswith(text, autoescape=True),
            )
            found = found.where(select(ClientNamePart.client_id).where(part).exists())
        clients = (await conn.execute(found.order_by(Client.folded_name, Client.id))).all()
        by = operator(row.id, "portal client list")
        await record(conn, by, None, utc_now(), AccessAction.READ)
    return [client_facts(client) for client in clients]


def client_facts(client: Row[Any]) -> dict[str, Any]:
    born, left = client.date_of_birth, client.archived_on
    return {
        "id": f"cli_{client.id}",
        "name": client.name,
        "email": client.email,
        "phone": client.phone,
        "date_of_birth": born.isoformat() if born else None,
        "clinician": f"cln_{client.clinician_id}" if client.clinician_id else None,
        "archived_on": left.isoformat() if left else None,
        "merged_into": f"cli_{client.merged_into}" if client.merged_into else None,
    }
