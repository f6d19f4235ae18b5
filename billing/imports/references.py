"""The references of earlier imports to the records of the same source."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Select, Text, cast, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.imports.layouts import LAYOUTS
from billing.imports.staging import Staging
from models import ExternalReference, Invoice, Payment, Session, Superbill

# The number of external ids that one statement looks up.
LOOKED_UP = 2_000
# The kinds with rows that belong to a client. A later record may name such a row.
OWNED: dict[str, Any] = {
    "session": Session,
    "invoice": Invoice,
    "payment": Payment,
    "superbill": Superbill,
}
KINDS_OWNED = ", ".join(f"'{kind}'" for kind in OWNED)
# The digest of a record that the next import enters as if it had changed.
UNDONE = "undone"
# The second kind of record in a file, and the column of its ids.
ALSO = {
    "clients": ("archive", "id"),
    "contacts": ("contact_link", "link_id"),
    "invoices": ("void", "id"),
}


async def note_known(
    conn: AsyncConnection, staging: Staging, practice_id: str, source: str
) -> None:
    """Stage the references of all records that are in the files or that they name."""
    own = ExternalReference.practice_id == practice_id, ExternalReference.source == source
    if (await conn.execute(select(ExternalReference.kind).where(*own).limit(1))).first() is None:
        return
    for kind in [layout.kind for layout in LAYOUTS] + [kind for kind, _ in ALSO.values()]:
        for ids in chunks(external_ids(staging, kind)):
            found = await conn.execute(lookup(conn, kind, own, ids))
            staging.add_known(kind, found)
    await note_clients(conn, staging, practice_id, source)


def lookup(
    conn: AsyncConnection, kind: str, own: tuple[ColumnElement[bool], ...], ids: list[str]
) -> Select[Any]:
    """Select references of a kind by the ids of the other system."""
    found = references_of(kind).where(*own)
    if conn.dialect.name != "postgresql":
        return found.where(ExternalReference.external_id.in_(ids))
    # The limit keeps PostgreSQL to one look-up for each id: without statistics of the rows of an
    # import it would compare each row with all ids.
    wanted = func.unnest(cast(ids, ARRAY(Text))).table_valued("id").render_derived()
    one = found.where(ExternalReference.external_id == wanted.c.id).limit(1).lateral()
    return select(one).select_from(wanted).join(one, true())


def references_of(kind: str) -> Select[Any]:
    """Select references of a kind, with the row of the client where there is one."""
    columns: list[Any] = [
        ExternalReference.external_id,
        ExternalReference.row_id,
        ExternalReference.digest,
    ]
    of_kind = ExternalReference.kind == kind
    table = OWNED.get(kind)
    if table is None:
        return select(*columns, ExternalReference.row_id.label("client_row_id")).where(of_kind)
    same = (
        table.practice_id == ExternalReference.practice_id,
        table.id == ExternalReference.row_id,
    )
    return select(*columns, table.client_id).join(table, same[0] & same[1]).where(of_kind)


async def note_clients(
    conn: AsyncConnection, staging: Staging, practice_id: str, source: str
) -> None:
    """Stage the external id of each client with records that are named."""
    staging.execute("CREATE INDEX known_client ON known (client_row_id)")
    needed = staging.select(
        f"SELECT DISTINCT client_row_id FROM known WHERE kind IN ({KINDS_OWNED})"
    )
    own = ExternalReference.practice_id == practice_id, ExternalReference.source == source
    for ids in chunks(str(row["client_row_id"]) for row in needed):
        clients = references_of("client").where(*own, ExternalReference.row_id.in_(ids))
        found = await conn.execute(clients)
        staging.add_known("client", found)
    staging.execute(
        "UPDATE known SET client_id = (SELECT client.external_id FROM known AS client"
        " WHERE client.kind = 'client' AND client.client_row_id = known.client_row_id)"
        f" WHERE kind IN ({KINDS_OWNED})"
    )


def external_ids(staging: Staging, kind: str) -> Iterator[str]:
    """Yield the external ids of a kind: of the files' own records, and of those that they name."""
    parts = []
    for layout in LAYOUTS:
        columns = [column.name for column in layout.columns if column.refers == kind]
        columns += ["id"] if layout.kind == kind and layout.key else []
        columns += [column for of, column in [ALSO.get(layout.name, ("", ""))] if of == kind]
        parts += [f"SELECT {name} AS external_id FROM {layout.name}" for name in columns]
    if not parts:
        return
    for row in staging.select(
        f"SELECT external_id FROM ({' UNION '.join(parts)}) WHERE external_id IS NOT NULL"
    ):
        yield row["external_id"]


def undone_kind(kind: str) -> str:
    """Return the kind of references to the documents of undone imports, by their rows."""
    return f"{UNDONE} {kind}"


def chunks(ids: Iterable[str], size: int = LOOKED_UP) -> Iterator[list[str]]:
    waiting = iter(ids)
    while chunk := list(islice(waiting, size)):
        yield chunk
