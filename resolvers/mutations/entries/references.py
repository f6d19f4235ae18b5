"""Records that an input names: by ids of this API, or by keys of another system."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from billing.entry.errors import EntryError
from billing.entry.external_ids import ExternalId, find_rows
from billing.errors import InvalidInputError, NotFoundError
from models import Invoice, Payment, Statement, Superbill
from resolvers.mutations import lookup
from resolvers.mutations.entries.inputs import ExternalKey, RecordReference
from resolvers.mutations.result import MutationContext, read_id

Path = tuple[str, ...]


@dataclass(frozen=True)
class RecordKind:
    """A kind of record: its name, which is also its kind in other systems, and its ids' prefix."""

    name: str
    prefix: str
    table: Any = None


CLIENT, CLINICIAN = RecordKind("client", "cli"), RecordKind("clinician", "cln")
SESSION = RecordKind("session", "ses")
INVOICE, PAYMENT = RecordKind("invoice", "inv", Invoice), RecordKind("payment", "pmt", Payment)
STATEMENT = RecordKind("statement", "stm", Statement)
SUPERBILL = RecordKind("superbill", "sbl", Superbill)


@dataclass(frozen=True)
class OwnedRow:
    """A row of a client. `is_shared` says of a document that the client sees it."""

    id: str
    client_id: str
    is_shared: bool


def external_key(key: ExternalKey, path: Path = ("input", "externalId")) -> ExternalId:
    """Return the key of a record in another system."""
    try:
        return ExternalId(key.source, key.id)
    except EntryError as error:
        name = "source" if error.field == "source" else "id"
        raise InvalidInputError(str(error), (*path, name)) from None


async def row_id(
    mutation: MutationContext, kind: RecordKind, reference: RecordReference, path: Path
) -> str:
    """Return the id of the row that a reference names."""
    return (await row_ids(mutation, kind, {path: reference}))[path]


async def optional_row_id(
    mutation: MutationContext, kind: RecordKind, reference: RecordReference | None, path: Path
) -> str | None:
    return None if reference is None else await row_id(mutation, kind, reference, path)


async def row_ids(
    mutation: MutationContext, kind: RecordKind, references: Mapping[Path, RecordReference]
) -> dict[Path, str]:
    """Return the ids of the rows that references at different paths name.

    A key that nothing was entered with is an error. The caller has to check that a row with an id
    exists, and that it belongs to the right client.
    """
    own, keys = dict[Path, str](), dict[Path, ExternalId]()
    for path, reference in references.items():
        if reference.external_id is not None and reference.external_id.value is not None:
            keys[path] = external_key(reference.external_id.value, (*path, "externalId"))
        elif reference.id is not None and reference.id.value is not None:
            own[path] = read_id(reference.id.value, kind.prefix, (*path, "id"))
        else:
            raise InvalidInputError("Pass `id` or `externalId`.", path)
    found = await rows_of_keys(mutation, kind, keys)
    return {path: own[path] if path in own else found[path] for path in references}


async def rows_of_keys(
    mutation: MutationContext, kind: RecordKind, keys: Mapping[Path, ExternalId]
) -> dict[Path, str]:
    """Return the ids of the rows that records at different paths were entered as."""
    if not keys:
        return {}
    async with mutation.payment_context.engine.connect() as conn:
        found = await find_rows(conn, mutation.viewer.practice_id, keys.values(), kind.name)
    for path, key in keys.items():
        if key not in found:
            raise missing(kind, path)
    return {path: found[key] for path, key in keys.items()}


async def owned_row(
    mutation: MutationContext, kind: RecordKind, reference: RecordReference, path: Path
) -> OwnedRow:
    """Return the row that a reference names, with its client."""
    id_ = await row_id(mutation, kind, reference, path)
    visible = lookup.visibility_of(mutation)
    table = visible(kind.table)
    statement = select(table).where(visible.predicate_for(table), table.c.id == id_)
    row = await lookup.first_row(mutation, visible, statement)
    if row is None:
        raise missing(kind, path)
    return OwnedRow(id_, str(row.client_id), getattr(row, "shared_at", None) is not None)


def missing(kind: RecordKind, path: Sequence[str]) -> NotFoundError:
    return NotFoundError(f"There is no such {kind.name} here.", path)
