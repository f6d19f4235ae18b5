"""Manifests of trusted documents: files that name documents by ids.

Two formats are read: Apollo's persisted query manifest, and the map from ids to texts that Relay's
compiler and GraphQL Code Generator write. The first one is written.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graphql import GraphQLSchema

from execution.document_check import InvalidDocument, checked_operations
from execution.limits import MAX_LENGTH
from execution.trusted_documents import (
    HASH_PREFIX,
    ContradictoryIds,
    TrustedDocuments,
    text_hash,
)
from server.command_errors import CommandError
from server.settings import Settings
from server.web_files import PORTAL_PAGE

FORMAT, VERSION = "apollo-persisted-query-manifest", 1
PAGE_MANIFEST = PORTAL_PAGE / "documents.json"
# Bytes of a file, and documents of all files.
MOST_BYTES, MOST_DOCUMENTS = 2**25, 10_000
# The syntax of ids in the appendix "Persisted Documents" of GraphQL over HTTP. Other prefixes are
# reserved there.
ID = re.compile(r"(?:x-[\w.~-]+:|sha256:)?[\w.~-]{1,255}", re.ASCII)
ID_RULE = (
    "an id has 1 to 255 letters, digits and characters of -._~, after sha256: or x-…: or no prefix"
)


class BadManifest(CommandError):
    """A manifest that can't be used. The text names the file and the fault."""


@dataclass(frozen=True)
class ManifestEntry:
    """A document of a manifest. Apollo's format also has the operation's name and type.

    `cost` is the operation's cost when `portal documents manifest` wrote the manifest.
    """

    id: str
    text: str
    name: str | None = None
    type: str | None = None
    cost: int | None = None


def trusted_documents(settings: Settings, *, has_page: bool) -> TrustedDocuments:
    """Return the documents of the portal page, if it is served, and of the files of the settings.

    Raise BadManifest if one can't be used.
    """
    files = [*([PAGE_MANIFEST] if has_page else []), *map(Path, settings.trusted_documents_file)]
    entries = [entry for file in files for entry in read_manifest(file)]
    if len(entries) > MOST_DOCUMENTS:
        raise BadManifest(
            f"TRUSTED_DOCUMENTS_FILE: {len(entries):,} documents are more than {MOST_DOCUMENTS:,}."
        )
    try:
        return TrustedDocuments(
            ((entry.id, entry.text) for entry in entries), settings.trusted_documents
        )
    except ContradictoryIds as error:
        raise BadManifest(
            f"TRUSTED_DOCUMENTS_FILE: the id {error} has two different texts."
        ) from None


def document_faults(schema: GraphQLSchema, settings: Settings) -> list[str]:
    """Return a sentence for each document of the settings' files that can't be answered."""
    return [
        f"{path}: the document {entry.id}: {fault}"
        for path in settings.trusted_documents_file
        for entry in read_manifest(Path(path))
        if (fault := fault_of(schema, entry))
    ]


def fault_of(schema: GraphQLSchema, entry: ManifestEntry) -> str | None:
    """Return the fault of a document, or None."""
    try:
        operations = list(checked_operations(schema, entry.text))
    except InvalidDocument as error:
        return str(error)
    if entry.name is None or (entry.name, entry.type) in [(o.name, o.type) for o in operations]:
        return None
    return f"it has no {entry.type} of the name {entry.name}."


def read_manifest(path: Path) -> list[ManifestEntry]:
    """Return the documents of a manifest. Raise BadManifest if it is not one."""
    try:
        return list(entries_of(parsed(path)))
    except BadManifest as error:
        raise BadManifest(f"{path}: {error}.") from None


def parsed(path: Path) -> Mapping[str, Any]:
    """Return the JSON object of a file."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadManifest(f"it can't be read: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise BadManifest(f"it has more than {MOST_BYTES:,} bytes")
    try:
        manifest = json.loads(content, object_pairs_hook=without_duplicates)
    except (ValueError, RecursionError):
        raise BadManifest("it is not JSON in UTF-8") from None
    if not isinstance(manifest, dict):
        raise BadManifest("it is not a JSON object")
    return manifest


def without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object. Raise BadManifest if a key is there twice with different values."""
    read: dict[str, Any] = {}
    for key, value in pairs:
        if read.setdefault(key, value) != value:
            raise BadManifest(f"{key[:80]!r} is there twice, with different values")
    return read


def entries_of(manifest: Mapping[str, Any]) -> Iterator[ManifestEntry]:
    """Yield the documents of a manifest in either format."""
    if "format" not in manifest:
        yield from (entry(id_, text) for id_, text in manifest.items())
        return
    if manifest["format"] != FORMAT:
        raise BadManifest(f"its format is not {FORMAT}")
    if manifest.get("version") != VERSION:
        raise BadManifest(f"its version is not {VERSION}")
    operations = manifest.get("operations")
    if not isinstance(operations, list):
        raise BadManifest("operations is not a list")
    for number, operation in enumerate(operations, 1):
        if not isinstance(operation, dict):
            raise BadManifest(f"operation {number} is not an object")
        try:
            yield operation_entry(operation)
        except BadManifest as error:
            raise BadManifest(f"operation {number}: {error}") from None


def operation_entry(operation: Mapping[str, Any]) -> ManifestEntry:
    """Return an operation of Apollo's format."""
    id_, name, type_, text = (operation.get(key) for key in ("id", "name", "type", "body"))
    if not (isinstance(id_, str) and isinstance(name, str) and isinstance(type_, str)):
        raise BadManifest("id, name and type are texts")
    cost = operation.get("cost")
    return replace(
        entry(id_, text), name=name, type=type_, cost=cost if type(cost) is int else None
    )


def entry(id_: str, text: Any) -> ManifestEntry:
    """Return a document after its id was checked."""
    if not ID.fullmatch(id_):
        raise BadManifest(f"the id {id_[:80]!r}: {ID_RULE}")
    if not isinstance(text, str):
        raise BadManifest(f"the id {id_} has no text")
    if len(text) > MAX_LENGTH:
        raise BadManifest(f"the id {id_}: a document has at most {MAX_LENGTH:,} characters")
    if id_.startswith(HASH_PREFIX) and id_ != HASH_PREFIX + text_hash(text):
        raise BadManifest(f"the id {id_} is not the hash of its text")
    return ManifestEntry(id_, text)


def manifest_text(entries: Iterable[ManifestEntry]) -> str:
    """Return a manifest in Apollo's format. Each operation has a `cost` in addition to it."""
    operations = [
        {
            "id": each.id,
            "name": each.name,
            "type": each.type,
            "body": each.text,
            **({} if each.cost is None else {"cost": each.cost}),
        }
        for each in entries
    ]
    manifest = {"format": FORMAT, "version": VERSION, "operations": operations}
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
