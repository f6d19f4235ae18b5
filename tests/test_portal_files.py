"""The portal page's files, without a browser: queries that fit the schema, headers, places."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import (
    FieldNode,
    OperationDefinitionNode,
    Visitor,
    build_schema,
    parse,
    validate,
    visit,
)

from server.app import app
from server.settings import Settings
from tests.demo import PROJECT

PAGE = PROJECT / "web" / "portal"
SCHEMA = build_schema((PROJECT / "schema.graphql").read_text())
QUERIES = sorted((PAGE / "queries").glob("*.graphql"))
SCRIPTS = sorted(PAGE.rglob("*.js"))


def settings(folder: Path) -> Settings:
    return Settings(
        database_url=f"sqlite:///{folder / 'portal.db'}",
        token_key="k" * 32,
        stripe_api_key=None,
        sandbox_file=str(folder / "sandbox.db"),
    )


async def get(folder: Path, path: str, *, local: bool = True) -> httpx.Response:
    transport = httpx.ASGITransport(app(settings(folder), local=local))
    async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
        return await client.get(path)


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_each_query_fits_the_schema_and_is_one_operation(path: Path) -> None:
    document = parse(path.read_text())
    assert validate(SCHEMA, document) == []
    (operation,) = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert operation.name
    assert operation.name.value.lower() == path.stem.replace("-", "")


def test_each_query_is_asked_and_each_that_is_asked_is_there() -> None:
    text = "".join(path.read_text() for path in SCRIPTS)
    named = set(re.findall(r'"([a-z-]+)"', text))
    assert {path.stem for path in QUERIES} <= named
    asked = set(re.findall(r'\bask\("([a-z-]+)"', text))
    assert asked <= {path.stem for path in QUERIES}


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_each_field_that_a_query_asks_for_is_shown(path: Path) -> None:
    """No view fetches what it does not use, as far as names tell."""
    text = "".join(script.read_text() for script in SCRIPTS)
    (operation,) = parse(path.read_text()).definitions
    assert isinstance(operation, OperationDefinitionNode)
    unused = [name for name in inner(operation) if not re.search(rf"\b{name}\b", text)]
    assert unused == []


def inner(operation: OperationDefinitionNode) -> set[str]:
    """The names of all fields below the operation's first."""
    names: set[str] = set()

    class Names(Visitor):
        def enter_field(self, node: FieldNode, *args: Any) -> None:
            # Two ancestors: the operation and its selection set.
            if len(args[3]) > 3:
                names.add(node.name.value)

    visit(operation, Names())
    return names - {"__typename"}


async def test_the_page_loads_from_here_alone(tmp_path: Path) -> None:
    for path in ("/portal/", "/portal/main.js", "/portal/queries/overview.graphql"):
        response = await get(tmp_path, path)
        assert response.status_code == 200
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path", ["/portal/", "/portal/main.js", "/sandbox/", "/sandbox/state", "/sandbox/panel.js"]
)
async def test_neither_page_is_served_but_on_ones_own_machine(tmp_path: Path, path: str) -> None:
    assert (await get(tmp_path, path)).status_code == 200
    assert (await get(tmp_path, path, local=False)).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/portal/../pyproject.toml",
        "/portal/%2e%2e/build.mjs",
        "/portal/..%2fbuild.mjs",
        "/portal/queries",
    ],
)
async def test_nothing_else_is_served(tmp_path: Path, path: str) -> None:
    assert (await get(tmp_path, path)).status_code in (404, 405)
