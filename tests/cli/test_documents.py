"""`portal documents`, which checks a folder's documents and writes their manifest, and the start of
a server with manifests.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from execution.document_check import InvalidDocument
from server.app import app
from server.cli import main as cli
from server.document_manifest import read_manifest
from server.settings import Settings
from server.web_files import PORTAL_PAGE, QUERIES
from tests.support.checks import results, run
from tests.support.portal import KEY, Portal

FRAGMENTS = """fragment Money on Money { amount currency }
fragment Due on Invoice { amountDue { ...Money } }
"""
PAGE = """# The page.
query Due($first: Int = 10) {
  client { invoices(first: $first) { nodes { number ...Due } } }
}

query Kind { viewer { kind } }
mutation Out { signOut { __typename } }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of two files, one of which uses the fragments of the other."""
    (tmp_path / "front" / "parts").mkdir(parents=True)
    (tmp_path / "front" / "page.graphql").write_text(PAGE)
    (tmp_path / "front" / "parts" / "money.graphql").write_text(FRAGMENTS)
    (tmp_path / "front" / "notes.txt").write_text("not GraphQL")
    return tmp_path / "front"


def portal(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, ["documents", *map(str, arguments)])


def check(folder: Path, *options: str | Path) -> Result:
    return portal("check", folder, *options)


def manifest_of(folder: Path) -> list[dict[str, Any]]:
    file = folder.parent / "manifest.json"
    assert portal("manifest", folder, "-o", file).exit_code == 0
    operations: list[dict[str, Any]] = json.loads(file.read_text())["operations"]
    return operations


# -- check -----------------------------------------------------------------------------------------


def test_each_operation_has_its_cost_scopes_and_statement(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No settings are needed."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    checked = check(folder)
    assert (checked.exit_code, checked.stderr) == (0, "")
    lines = checked.stdout.splitlines()
    assert lines[0] == f"query Due  {folder}/page.graphql:2"
    assert lines[1] == "  cost       22, and up to 202 by $first"
    assert lines[2] == "  scopes     billing:read"
    assert " characters with " in lines[3]
    assert lines[4] == f"query Kind  {folder}/page.graphql:6"
    assert lines[5:7] == ["  cost       1", "  scopes     none"]
    assert lines[8] == f"mutation Out  {folder}/page.graphql:7"
    assert lines[11] == "  statement  made for each request"
    whole = check(folder, "--statement").stdout
    assert whole.count('SELECT \'{"data":') == 2
    assert "FROM invoice AS" in whole


def test_page_and_documented_queries_are_valid() -> None:
    for queries in (PORTAL_PAGE / "queries", QUERIES):
        assert check(queries).exit_code == 0


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("query A { viewer { knd } }", [(1, "Cannot query field 'knd' on type 'Viewer'.")]),
        ("query A {\n  viewer {\n", [(3, "Syntax Error")]),
        ("{ viewer { kind } }", [(1, "an operation of a manifest has a name")]),
        ("\nquery Kind { viewer { kind } }", [(2, "the name Kind is also that of ")]),
        ("fragment Money on Money { amount }", [(1, "the name Money is also that of ")]),
        ("fragment No on Money { amount }", [(1, "no operation uses the fragment No")]),
        ("query A { client { ...Nothing } }", [(1, "Unknown fragment 'Nothing'.")]),
        ("type A { b: Int }", [(1, "this is neither an operation nor a fragment")]),
        ("subscription A { viewer { kind } }", [(1, "")]),
        ("query A($n: Int) { viewer { kind } }", [(1, "Variable '$n' is never used")]),
        (
            "query A { client { ...B } }\nfragment B on Client { ...C } "
            "fragment C on Client { x y }",
            [(2, "field 'x'"), (2, "field 'y'")],
        ),
        ("query A { ...A } fragment A on Query { ...A }", [(1, "Cannot spread fragment 'A'")]),
        (
            "query A { clients(first: 500) { nodes { invoices(first: 100) { nodes { id } } } } }",
            [(1, "cost: ")],
        ),
        (
            'mutation A { revokeSignIn(input: {id: "4111111111111111"}) { __typename } }',
            [(1, "card number")],
        ),
    ],
)
def test_invalid_documents_are_named_by_file_and_line(
    folder: Path, text: str, faults: list[tuple[int, str]]
) -> None:
    (folder / "wrong.graphql").write_text(text)
    checked = check(folder)
    assert checked.exit_code == 1
    said = checked.stderr.splitlines()
    assert len(said) == len(faults), said
    for line, (number, words) in zip(said, faults, strict=True):
        assert line.startswith(f"{folder}/wrong.graphql:{number}: ")
        assert words in line
    assert "query Due" in checked.stdout
    written = portal("manifest", folder, "-o", folder / "out.json")
    assert (written.exit_code, written.stderr.splitlines()) == (1, said)
    assert not (folder / "out.json").exists()


def test_files_that_are_not_text_are_named(folder: Path) -> None:
    (folder / "latin.graphql").write_bytes(b"query A { \xf1 }")
    (folder / "nul.graphql").write_text('query A { client(id: "\\u0000") { id } }')
    (folder / "deep.graphql").write_text("query D " + "{ client " * 5_000 + "}" * 5_000)
    checked = check(folder)
    assert checked.exit_code == 1
    assert f"{folder}/latin.graphql:1: it is not UTF-8" in checked.stderr
    assert f"{folder}/nul.graphql:1: text has a NUL" in checked.stderr
    assert f"{folder}/deep.graphql:1: " in checked.stderr


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    checked = check(tmp_path)
    assert (checked.exit_code, checked.stderr.strip()) == (
        1,
        f"{tmp_path} has no operation in a file *.graphql.",
    )


def test_cost_above_a_limit_fails(folder: Path) -> None:
    """The limit holds for the largest pages that variables may ask for."""
    assert check(folder, "--max-cost", "202").exit_code == 0
    checked = check(folder, "--max-cost", "201")
    assert checked.exit_code == 1
    assert checked.stderr == f"{folder}/page.graphql:2: Due costs 202, more than 201\n"


def test_cost_above_a_manifests_fails(folder: Path) -> None:
    file = folder.parent / "manifest.json"
    manifest_of(folder)
    assert check(folder, "--baseline", file).exit_code == 0
    (folder / "parts" / "money.graphql").write_text(
        FRAGMENTS.replace("{ ...M", "{ __typename ...M")
    )
    assert check(folder, "--baseline", file).exit_code == 0
    more = FRAGMENTS.replace("amountDue {", "total { ...Money } amountDue {")
    (folder / "parts" / "money.graphql").write_text(more)
    (folder / "new.graphql").write_text("query New { clients { nodes { id } } }")
    said = f"{folder}/page.graphql:2: Due costs 302, and 202 in {file}\n"
    checked = check(folder, "--baseline", file)
    assert (checked.exit_code, checked.stderr) == (1, said)
    # A manifest of another program tells no costs.
    manifest = json.loads(file.read_text())
    for operation in manifest["operations"]:
        del operation["cost"]
    file.write_text(json.dumps(manifest))
    assert check(folder, "--baseline", file).stderr == said


# -- manifest --------------------------------------------------------------------------------------


def test_manifest_has_each_operation_with_the_fragments_that_it_uses(folder: Path) -> None:
    due, kind, out = manifest_of(folder)
    assert [each["name"] for each in (due, kind, out)] == ["Due", "Kind", "Out"]
    assert [each["type"] for each in (due, kind, out)] == ["query", "query", "mutation"]
    assert [each["cost"] for each in (due, kind, out)] == [202, 1, 1]
    assert due["body"].startswith("query Due($first: Int = 10) {\n  client {\n")
    assert due["body"].index("fragment Due on") < due["body"].index("fragment Money on")
    assert "fragment" not in kind["body"]
    assert kind["body"] == "query Kind {\n  viewer {\n    kind\n  }\n}"
    entries = read_manifest(folder.parent / "manifest.json")
    assert [entry.id for entry in entries] == [each["id"] for each in (due, kind, out)]


def test_layout_and_comments_do_not_change_ids(folder: Path) -> None:
    before = manifest_of(folder)
    (folder / "page.graphql").write_text(PAGE.replace("\n", "\n\n# More.\n"))
    assert manifest_of(folder) == before


async def test_costs_are_those_of_answers(configured: Portal, folder: Path) -> None:
    due, *_ = manifest_of(folder)
    given = {"query": due["body"], "extensions": {"cost": True}}
    headers = {"authorization": f"Bearer {await configured.token()}"}
    for variables, cost in (({}, 22), ({"first": 100}, 202), ({"first": 10}, 22)):
        body = given | {"variables": variables}
        answer = (await configured.http.post("/graphql", json=body, headers=headers)).json()
        assert answer["extensions"]["cost"]["requested"] == cost


# -- portal check, and the start -------------------------------------------------------------------


async def test_check_counts_the_documents(
    configured: Portal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest_of(folder)
    made = await results()
    assert made.sentence("trusted-documents") == "TRUSTED_DOCUMENTS_FILE names no manifest."
    monkeypatch.setenv("TRUSTED_DOCUMENTS_FILE", str(folder.parent / "manifest.json"))
    made = await results()
    assert made.sentence("trusted-documents") == "3 trusted documents are valid."
    monkeypatch.setenv("TRUSTED_DOCUMENTS", "only")
    made = await results()
    assert made.sentence("trusted-documents").endswith("valid. No others are answered.")


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        ({"a": "{ nothing }"}, "the document a: Cannot query field 'nothing' on type 'Query'."),
        ({"a": "fragment A on Client { id }"}, "the document a: it has no operation"),
        ({"a": "{"}, "the document a: Syntax Error"),
        ({"a": "query A { viewer { kind } } query A { viewer { kind } }"}, "only one operation"),
        ({"a b": "{ viewer { kind } }"}, "the id 'a b'"),
        ({"format": "apollo-persisted-query-manifest"}, "its version is not 1"),
        (
            {
                "format": "apollo-persisted-query-manifest",
                "version": 1,
                "operations": [
                    {"id": "a", "name": "B", "type": "query", "body": "query A { __typename }"}
                ],
            },
            "the document a: it has no query of the name B.",
        ),
        (None, "can't be read"),
    ],
)
async def test_server_does_not_start_with_a_bad_manifest(
    configured: Portal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    manifest: Any,
    sentence: str,
) -> None:
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: pytest.fail("the server started"))
    file = tmp_path / "manifest.json"
    if manifest is not None:
        file.write_text(json.dumps(manifest))
    monkeypatch.setenv("TRUSTED_DOCUMENTS_FILE", str(file))
    made, start = await results(), await run("serve")
    assert made.failed == {"trusted-documents"}
    assert sentence in made.sentence("trusted-documents")
    assert made.sentence("trusted-documents").startswith(str(file))
    assert (start.exit_code, start.stderr.splitlines()[-1]) == (
        1,
        made.sentence("trusted-documents"),
    )


async def test_process_does_not_start_with_a_document_that_became_invalid(
    configured: Portal, tmp_path: Path
) -> None:
    """The manifest may be replaced under a running server, whose processes start again."""
    (tmp_path / "manifest.json").write_text('{"a": "{ nothing }"}')
    file = str(tmp_path / "manifest.json")
    given = Settings(
        database_url=configured.url, token_key=KEY, sandbox=True, trusted_documents_file=[file]
    )
    application = app(given)
    with pytest.raises(InvalidDocument, match="Cannot query field 'nothing'"):
        await application.router.lifespan_context(application).__aenter__()
