"""The GraphiQL page and its files over HTTP, without a browser."""

import json
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from server.http.graphiql import PageConfig, Tab, assets, page

SCRIPT = "graphiql-ABCD1234.js"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """Return a folder like that of web/build.sh, with one script in its three encodings."""
    folder = tmp_path / "graphiql"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"script": SCRIPT, "style": "x.css"}))
    (folder / SCRIPT).write_text("plain")
    (folder / f"{SCRIPT}.gz").write_bytes(b"in gzip")
    (folder / f"{SCRIPT}.br").write_bytes(b"in brotli")
    (tmp_path / "secret-ABCD1234.js").write_text("secret")
    return folder


async def get(built: Path, path: str, accept_encoding: str = "identity") -> httpx.Response:
    """Get a path, without decoding the body."""
    transport = httpx.ASGITransport(Starlette(routes=[assets(built)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
        headers = {"Accept-Encoding": accept_encoding}
        async with client.stream("GET", path, headers=headers) as response:
            response._content = b"".join([part async for part in response.aiter_raw()])
    return response


def test_page_is_not_cached_or_framed(built: Path) -> None:
    headers = page(PageConfig(), built).headers
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    policy = dict(
        part.partition(" ")[::2] for part in headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy["style-src-elem"]


def test_each_page_has_a_nonce_of_its_own(built: Path) -> None:
    policies = {page(PageConfig(), built).headers["content-security-policy"] for _ in range(3)}
    assert len(policies) == 3


def test_query_can_not_end_the_data_block(built: Path) -> None:
    query = "{ a } # </script><script>alert(1)</script><!-- & \u2028 \u2029 $token"
    body = bytes(page(PageConfig("cbp_1", [Tab("<b>", query)]), built).body).decode()
    block = body.split('id="config"')[1].split(">", 1)[1].split("</script>")[0]
    assert not set("<>&\u2028\u2029") & set(block)
    assert json.loads(block) == {
        "token": "cbp_1",
        "tabs": [{"title": "<b>", "query": query, "variables": None}],
    }


def test_unbuilt_page_says_how_to_build_it(tmp_path: Path) -> None:
    answer = page(PageConfig("cbp_1"), tmp_path)
    assert answer.status_code == 200
    assert b"make run" in answer.body
    assert b"cbp_1" not in answer.body
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("accepted", "encoding", "body"),
    [
        ("gzip, deflate, br, zstd", "br", b"in brotli"),
        ("gzip;q=1.0, br;q=0", "gzip", b"in gzip"),
        ("br ; q=0.000, GZIP", "gzip", b"in gzip"),
        ("identity", None, b"plain"),
        ("", None, b"plain"),
    ],
)
async def test_file_has_the_best_accepted_encoding(
    built: Path, accepted: str, encoding: str | None, body: bytes
) -> None:
    response = await get(built, f"/graphiql/{SCRIPT}", accepted)
    assert response.headers.get("content-encoding") == encoding
    assert response.content == body
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "name",
    [
        "manifest.json",
        f"{SCRIPT}.br",
        "missing-ABCD1234.js",
        "..%2fsecret-ABCD1234.js",
        "../graphiql/../secret-ABCD1234.js",
        "%00-ABCD1234.js",
    ],
)
async def test_only_built_files_are_served(built: Path, name: str) -> None:
    assert (await get(built, f"/graphiql/{name}")).status_code == 404
