"""The portal page's files, without a browser: queries that fit the schema, headers, paths."""

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
from pydantic import SecretStr
from starlette.applications import Starlette

from billing.stripe.release import STRIPE_JS
from server.app import app
from server.settings import Settings
from tests.support.demo_server import PROJECT

PAGE = PROJECT / "web" / "portal"
SCHEMA = build_schema((PROJECT / "schema.graphql").read_text())
QUERIES = sorted((PAGE / "queries").glob("*.graphql"))
SCRIPTS = sorted(PAGE.rglob("*.js"))


AT_STRIPE: dict[str, Any] = {
    "stripe_api_key": SecretStr("sk_test_1"),
    "stripe_publishable_key": "pk_test_1",
    "stripe_webhook_secret": [SecretStr("whsec_1")],
}


class ServedPages:
    """The application under different settings, each made once."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(
            database_url=f"sqlite:///{folder / 'portal.db'}",
            token_key="k" * 32,
            stripe_api_key=None,
            sandbox_file=str(folder / "sandbox.db"),
        )
        self.made: dict[str, Starlette] = {}

    async def get(self, path: str, *, local: bool = True, **given: Any) -> httpx.Response:
        key = f"{local} {given}"
        if key not in self.made:
            self.made[key] = app(self.settings.model_copy(update=given), local=local)
        transport = httpx.ASGITransport(self.made[key])
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            return await client.get(path)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> ServedPages:
    return ServedPages(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_query_fits_the_schema_and_is_one_operation(path: Path) -> None:
    document = parse(path.read_text())
    assert validate(SCHEMA, document) == []
    (operation,) = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert operation.name
    assert operation.name.value.lower() == path.stem.replace("-", "")


def test_every_query_is_used_and_every_used_query_exists() -> None:
    text = "".join(path.read_text() for path in SCRIPTS if path.name != "document-ids.js")
    named = set(re.findall(r'"([a-z-]+)"', text))
    assert {path.stem for path in QUERIES} <= named
    asked = set(re.findall(r'\bask\("([a-z-]+)"', text))
    assert asked <= {path.stem for path in QUERIES}


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_every_selected_field_is_used_in_a_script(path: Path) -> None:
    """Compares names only."""
    text = "".join(script.read_text() for script in SCRIPTS)
    (operation,) = parse(path.read_text()).definitions
    assert isinstance(operation, OperationDefinitionNode)
    unused = [name for name in inner(operation) if not re.search(rf"\b{name}\b", text)]
    assert unused == []


def inner(operation: OperationDefinitionNode) -> set[str]:
    """Return the names of all fields below the operation's first."""
    names: set[str] = set()

    class Names(Visitor):
        def enter_field(self, node: FieldNode, *args: Any) -> None:
            # The first two ancestors are the operation and its selection set.
            if len(args[3]) > 3:
                names.add(node.name.value)

    visit(operation, Names())
    return names - {"__typename"}


async def test_page_loads_from_its_own_origin_only(pages: ServedPages) -> None:
    for path in ("/portal/", "/portal/main.js", "/portal/queries/overview.graphql"):
        response = await pages.get(path)
        assert response.status_code == 200
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert response.headers["referrer-policy"] == "no-referrer"


async def test_stripes_hosts_are_allowed_if_payments_go_to_stripe(pages: ServedPages) -> None:
    """The policy is that of Stripe's guide, and no wider."""
    response = await pages.get("/portal/", local=False, portal_page=True, **AT_STRIPE)
    assert response.status_code == 200
    written = response.headers["content-security-policy"].split("; ")
    policy = {name: set(sources) for name, *sources in map(str.split, written)}
    scripts = {"https://js.stripe.com", "https://*.js.stripe.com"}
    assert policy["script-src"] == {"'self'"} | scripts
    assert policy["frame-src"] == scripts | {"https://hooks.stripe.com"}
    assert policy["connect-src"] == {"'self'", "https://api.stripe.com"}
    assert policy["default-src"] == policy["frame-ancestors"] == {"'none'"}
    assert STRIPE_JS.startswith("https://js.stripe.com/")
    # Stripe's frames learn the origin, and a bank's window can reach its opener. The page is not
    # cross-origin isolated, which Stripe.js does not support.
    assert response.headers["referrer-policy"] == "strict-origin"
    assert response.headers["cross-origin-opener-policy"] == "same-origin-allow-popups"
    assert "cross-origin-embedder-policy" not in response.headers


async def test_page_is_served_if_its_setting_is_on(pages: ServedPages) -> None:
    """The sandbox's page and mail are not served with it."""
    for path, status in (("/portal/", 200), ("/sandbox/", 404), ("/sandbox/mail", 404)):
        assert (await pages.get(path, local=False, portal_page=True)).status_code == status
    at_stripe = {"local": True, **AT_STRIPE}
    for path, status in (("/sandbox/stripe.js", 404), ("/sandbox/", 404), ("/sandbox/mail", 200)):
        assert (await pages.get(path, **at_stripe)).status_code == status


@pytest.mark.parametrize(
    "path", ["/portal/", "/portal/main.js", "/sandbox/", "/sandbox/state", "/sandbox/panel.js"]
)
async def test_pages_are_not_served_by_default_on_public_servers(
    pages: ServedPages, path: str
) -> None:
    assert (await pages.get(path)).status_code == 200
    assert (await pages.get(path, local=False)).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/portal/../pyproject.toml",
        "/portal/%2e%2e/build.mjs",
        "/portal/..%2fbuild.mjs",
        "/portal/queries",
    ],
)
async def test_other_paths_are_not_served(pages: ServedPages, path: str) -> None:
    assert (await pages.get(path)).status_code in (404, 405)
