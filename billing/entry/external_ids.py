"""References to the records of other systems, by which the same record is entered only once."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row, and_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.entry import validation as check
from billing.entry.errors import EntryError, EntryErrorCode
from billing.entry.rows import Draft
from models import ExternalReference


@dataclass(frozen=True)
class ExternalId:
    """The key of a record in another system."""

    source: str
    id: str

    def __post_init__(self) -> None:
        check.check_text("source", self.source, 50)
        check.check_text("external_id", self.id)


class Content(NamedTuple):
    """The content of another system's record under a key: its kind, and a hash.

    If some values of the input may change, the hash has a second part for them, after a point.
    """

    kind: str
    digest: str

    def differs_in_details(self, digest: str) -> bool:
        """Return whether only values that may change differ from an earlier hash."""
        fixed, point, _ = self.digest.partition(".")
        return bool(point) and digest != self.digest and digest.partition(".")[0] == fixed


def content_of(kind: str, *parts: Any) -> Content:
    """Return the content of an input, and of the client that it is entered for.

    An input with values that may change has their names in `changeable`.
    """
    details = [fields(part, changeable) for part in parts if (changeable := changeable_of(part))]
    if not details:
        return Content(kind, hash_of(parts))
    fixed = [
        fields(part, [name for name in vars(part) if name not in changeable])
        if (changeable := changeable_of(part))
        else part
        for part in parts
    ]
    return Content(kind, f"{hash_of(fixed)}.{hash_of(details)}")


def changeable_of(part: Any) -> Sequence[str]:
    return getattr(part, "changeable", ())


def fields(part: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(part, name) for name in names}


def hash_of(parts: Sequence[Any]) -> str:
    text = orjson.dumps(parts, default=plain, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()


def plain(value: Any) -> Any:
    """Return a value that JSON has no form for: any mapping or sequence, or content of bytes."""
    if isinstance(value, bytes):
        # A tax id, which is encrypted to other bytes each time; its last digits tell it apart.
        return None
    return dict(value) if isinstance(value, Mapping) else list(value)


async def find_reference(
    conn: AsyncConnection, practice_id: str, external: ExternalId, kind: str
) -> Row[str, str] | None:
    """Return the reference of a record that was entered before."""
    key = reference_key(external, kind)
    condition = and_(*(getattr(ExternalReference, name) == value for name, value in key.items()))
    of_practice = ExternalReference.practice_id == practice_id
    columns = ExternalReference.row_id, ExternalReference.digest
    return (await conn.execute(select(*columns).where(of_practice, condition))).first()


async def find_rows(
    conn: AsyncConnection, practice_id: str, externals: Iterable[ExternalId], kind: str
) -> dict[ExternalId, str]:
    """Return the rows that records of one kind were entered as, of those that were entered."""
    key = tuple_(ExternalReference.source, ExternalReference.external_id)
    statement = select(
        ExternalReference.source, ExternalReference.external_id, ExternalReference.row_id
    ).where(
        ExternalReference.practice_id == practice_id,
        ExternalReference.kind == kind,
        key.in_([(one.source, one.id) for one in externals]),
    )
    rows = await conn.execute(statement)
    return {ExternalId(row.source, row.external_id): str(row.row_id) for row in rows}


def entered_before() -> EntryError:
    """Return the error for a record that was entered before with other values."""
    return EntryError(
        EntryErrorCode.CHANGED_AFTER_ENTRY,
        "The record was entered before with other values.",
        "external_id",
    )


def reference_key(external: ExternalId, kind: str) -> dict[str, str]:
    return {"source": external.source, "kind": kind, "external_id": external.id}


def insert_reference(draft: Draft, external: ExternalId, content: Content, row_id: str) -> None:
    """Add the reference of a record to the row that was made of it."""
    draft.insert(
        ExternalReference,
        **reference_key(external, content.kind),
        row_id=row_id,
        digest=content.digest,
        changed_at=draft.now,
    )


def alter_reference(draft: Draft, external: ExternalId, content: Content) -> None:
    """Keep the new content of a record after a change of its row."""
    key = reference_key(external, content.kind)
    draft.alter(ExternalReference, key, digest=content.digest, changed_at=draft.now)
