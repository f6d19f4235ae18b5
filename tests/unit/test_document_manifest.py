"""Manifests of trusted documents: the formats that are read, and those that are refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from execution.trusted_documents import TrustedDocuments, TrustedDocumentsMode
from server import document_manifest
from server.document_manifest import (
    BadManifest,
    ManifestEntry,
    manifest_text,
    read_manifest,
    trusted_documents,
)
from server.settings import Settings
from server.web_files import PORTAL_PAGE
from tests.support.page_documents import written_files
from tests.support.portal import KEY

TEXT, OTHER = "query Name {\n  viewer {\n    kind\n  }\n}", "{ viewer { kind } }"
OPERATION = {"id": "a", "name": "Name", "type": "query", "body": TEXT}
# From the appendix "Persisted Documents" of GraphQL over HTTP.
PUBLISHED = {
    "query ($id: ID!) {\n  user(id: $id) {\n    name\n  }\n}": (
        "7dba4bd717b41f10434822356a93c32b1fb4907b983e854300ad839f84cdcd6e"
    ),
    "query($id:ID!){user(id:$id){name}}": (
        "71f7dc5758652baac68e4a10c50be732b741c892ade2883a99358f52b555286b"
    ),
}


def apollos(*operations: Any, **more: Any) -> dict[str, Any]:
    form = {"format": "apollo-persisted-query-manifest", "version": 1}
    return {**form, "operations": list(operations), **more}


def written(folder: Path, manifest: Any) -> Path:
    file = folder / "manifest.json"
    file.write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))
    return file


def test_apollos_manifest_is_read(tmp_path: Path) -> None:
    """Members of later versions, such as the name of a client, are ignored."""
    file = written(tmp_path, apollos(OPERATION | {"clientName": "web", "cost": 7}))
    assert read_manifest(file) == [ManifestEntry("a", TEXT, "Name", "query", 7)]
    assert read_manifest(written(tmp_path, apollos())) == []


def test_map_from_ids_to_texts_is_read(tmp_path: Path) -> None:
    texts = {"4f1c" * 8: TEXT, "x-app:1~a": OTHER}
    read = read_manifest(written(tmp_path, texts))
    assert {entry.id: entry.text for entry in read} == texts


def test_written_manifest_is_read_again(tmp_path: Path) -> None:
    entries = [ManifestEntry("a", 'query Name { a(b: "ñ") }', "Name", "query", 3)]
    assert read_manifest(written(tmp_path, manifest_text(entries))) == entries


def test_published_hashes_are_ids() -> None:
    documents = TrustedDocuments(("own", text) for text in list(PUBLISHED)[:1])
    (text, hash_), (other, others_hash) = PUBLISHED.items()
    assert documents.find(hash_) == documents.find(f"sha256:{hash_}") == text
    assert documents.find(others_hash) is None
    both = TrustedDocuments((hash_, text) for text, hash_ in PUBLISHED.items())
    assert both.find(f"sha256:{others_hash}") == other


HASH = next(iter(PUBLISHED.values()))


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        ("", "it is not JSON in UTF-8"),
        ("{", "it is not JSON in UTF-8"),
        ("[" * 200_000, "it is not JSON in UTF-8"),
        ("[]", "it is not a JSON object"),
        ('"text"', "it is not a JSON object"),
        ('{"a": "{ a }", "a": "{ b }"}', "'a' is there twice, with different values"),
        ({"a": None}, "the id a has no text"),
        ({"a": {"b": "c"}}, "the id a has no text"),
        ({"": TEXT}, "the id '': an id has 1 to 255"),
        ({"a b": TEXT}, "the id 'a b': an id has 1 to 255"),
        ({"md5:a": TEXT}, "the id 'md5:a': an id has 1 to 255"),
        ({"x-:a": TEXT}, "the id 'x-:a': an id has 1 to 255"),
        ({"ñ": TEXT}, "the id 'ñ': an id has 1 to 255"),
        ({"a" * 256: TEXT}, "an id has 1 to 255"),
        ({f"sha256:{HASH}": TEXT}, "is not the hash of its text"),
        ({"a": "#" * 100_001}, "a document has at most 100,000 characters"),
        ({"format": "other", "a": TEXT}, "its format is not apollo-persisted-query-manifest"),
        (apollos(version=2), "its version is not 1"),
        (apollos(version="1"), "its version is not 1"),
        (apollos(operations={}), "operations is not a list"),
        (apollos("a"), "operation 1 is not an object"),
        (apollos(OPERATION, OPERATION | {"id": 7}), "operation 2: id, name and type are texts"),
        (apollos({"id": "a", "body": TEXT}), "operation 1: id, name and type are texts"),
        (apollos(OPERATION | {"body": 7}), "operation 1: the id a has no text"),
    ],
)
def test_bad_manifest_is_refused_with_a_sentence(
    tmp_path: Path, manifest: Any, sentence: str
) -> None:
    file = written(tmp_path, manifest)
    with pytest.raises(BadManifest) as refused:
        read_manifest(file)
    assert str(refused.value).startswith(f"{file}: ")
    assert sentence in str(refused.value)
    assert len(str(refused.value)) < 500


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match="can't be read: No such file"):
        read_manifest(tmp_path / "absent.json")
    with pytest.raises(BadManifest, match="can't be read: Is a directory"):
        read_manifest(tmp_path)
    (tmp_path / "latin.json").write_bytes('{"a": "ñ"}'.encode("latin-1"))
    with pytest.raises(BadManifest, match="not JSON in UTF-8"):
        read_manifest(tmp_path / "latin.json")


def test_large_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_manifest, "MOST_BYTES", 1_000)
    with pytest.raises(BadManifest, match="more than 1,000 bytes"):
        read_manifest(written(tmp_path, {"a": "#" * 1_000}))


def settings(*files: Path, **more: Any) -> Settings:
    return Settings(
        database_url="sqlite:///x.db",
        token_key=KEY,
        trusted_documents_file=[str(file) for file in files],
        **more,
    )


def test_manifest_with_a_hundred_thousand_documents_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, {f"id{number}": TEXT for number in range(100_000)})
    with pytest.raises(BadManifest, match="100,000 documents are more than 10,000"):
        trusted_documents(settings(file), has_page=False)


def test_id_with_two_texts_is_refused(tmp_path: Path) -> None:
    """Also where one text's hash is the other's id."""
    files = []
    for name, manifest in (("a", {"id": TEXT}), ("b", {"id": OTHER}), ("c", {HASH: OTHER})):
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps(manifest))
    assert len(trusted_documents(settings(files[0], files[0]), has_page=False)) == 1
    with pytest.raises(BadManifest, match="the id id has two different texts"):
        trusted_documents(settings(*files[:2]), has_page=False)
    hashed = written(tmp_path, {"id": next(iter(PUBLISHED))})
    with pytest.raises(BadManifest, match=f"the id {HASH} has two different texts"):
        trusted_documents(settings(hashed, files[2]), has_page=False)


def test_page_brings_its_documents(tmp_path: Path) -> None:
    only = settings(written(tmp_path, {"a": TEXT}), trusted_documents=TrustedDocumentsMode.ONLY)
    with_page = trusted_documents(only, has_page=True)
    assert (with_page.only, with_page.allows(TEXT), with_page.allows(OTHER)) == (True, True, False)
    assert len(with_page) == 1 + len(list((PORTAL_PAGE / "queries").glob("*.graphql")))
    assert len(trusted_documents(only, has_page=False)) == 1


def test_pages_manifest_is_up_to_date() -> None:
    """`make documents` writes it and the page's ids again."""
    for file, text in written_files().items():
        assert file.read_text() == text, file.name
