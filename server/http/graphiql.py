"""The GraphiQL page for browsers at GET /graphql, and the built files that it loads.

The files come from `web/`, bundled by `web/build.sh`. No file is read before it is requested.
"""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from server.web_files import GRAPHIQL


@dataclass(frozen=True)
class Tab:
    """A tab of the editor: a query, and its variables as JSON text."""

    title: str
    query: str
    variables: str | None = None


@dataclass(frozen=True)
class PageConfig:
    """The values filled into the page. The token goes into the headers editor."""

    token: str | None = None
    tabs: Sequence[Tab] = ()


def page(config: PageConfig | None, built: Path = GRAPHIQL) -> Response:
    """Return the page, or instructions to build it if it has not been built.

    Without a configuration, tell that there is no such page.
    """
    if config is None:
        return HTMLResponse(CLOSED, 403, headers=_page_headers("default-src 'none'"))
    try:
        files = json.loads((built / "manifest.json").read_text())
    except FileNotFoundError:
        return HTMLResponse(UNBUILT, headers=_page_headers("default-src 'none'"))
    nonce = secrets.token_urlsafe(16)
    text = PAGE.substitute(files, nonce=nonce, config=_data_block(asdict(config)))
    return HTMLResponse(text, headers=_page_headers(_policy(nonce)))


def assets(built: Path = GRAPHIQL) -> Route:
    """Return the route of the built files under /graphiql/, compressed if the client accepts it."""

    async def asset(request: Request) -> Response:
        return _asset(built, request.path_params["name"], request.headers.get("accept-encoding"))

    return Route("/graphiql/{name}", asset, methods=["GET"], name="graphiql-asset")


PAGE = Template("""\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Client billing portal · GraphiQL</title>
    <link rel="icon" href="data:image/svg+xml,\
%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
%3Cpath d='M8 1l6 3.5v7L8 15l-6-3.5v-7z' fill='none' stroke='%23d60590' stroke-width='1.5'/%3E\
%3C/svg%3E">
    <link rel="stylesheet" href="/graphiql/$style">
    <script type="application/json" id="config" nonce="$nonce">$config</script>
    <script type="module" src="/graphiql/$script"></script>
  </head>
  <body>
    <div id="graphiql">
      <noscript><p class="message">GraphiQL needs JavaScript. The API works without it:
      POST a query to this address.</p></noscript>
    </div>
  </body>
</html>
""")

CLOSED = """\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Client billing portal · API</title>
  </head>
  <body>
    <p>This server answers its trusted documents only (<code>TRUSTED_DOCUMENTS</code>), so it has no
    GraphiQL page.</p>
  </body>
</html>
"""

UNBUILT = """\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Client billing portal · GraphiQL</title>
  </head>
  <body>
    <p>The GraphiQL page has not been built: put Node 18 or newer in PATH and start with
    <code>make run</code>, or build it now with <code>sh web/build.sh</code> and load this page
    again. A wheel contains the page if it was built before the wheel.</p>
    <p>The API works without it: POST a query to this address.</p>
  </body>
</html>
"""


def _policy(nonce: str) -> str:
    """Return the content security policy: the page may only load its own files.

    Styles need two exceptions. Monaco creates `<style>` elements for its theme, which get this
    nonce. And it writes its lines of text as HTML with `style` attributes, for which the policy
    language has no nonce. They style one element, can't select others, and load nothing from
    elsewhere, since images and fonts have their own directives.
    """
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "worker-src 'self'",
            f"style-src-elem 'self' 'nonce-{nonce}'",
            "style-src-attr 'unsafe-inline'",
            "font-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _page_headers(policy: str) -> dict[str, str]:
    """Return the headers of the page, which contains a credential: never stored, framed or opened
    by others.
    """
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Vary": "Accept",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


# Characters that could end a script element or, in old JavaScript, a line. In JSON they only occur
# in strings, where the escape is equivalent.
_UNSAFE = re.compile("[<>&\u2028\u2029]")


def _data_block(value: object) -> str:
    """Return JSON that is safe between `<script type="application/json">` and its end."""
    text = json.dumps(value, ensure_ascii=False)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "woff2": "font/woff2",
    "woff": "font/woff",
    "ttf": "font/ttf",
}

# Every file except the manifest has the hash of its content in its name, as esbuild writes it.
_HASHED = re.compile(r"\w[\w.-]*-[A-Z0-9]{8}(?:\.\w+)*\.(?P<type>js|css|txt|woff2|woff|ttf)")

_ASSET_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Vary": "Accept-Encoding",
    "Cross-Origin-Resource-Policy": "same-origin",
    # A worker has the policy of its own file, not the page's. Ours load nothing at all.
    "Content-Security-Policy": "default-src 'none'",
}


def _asset(built: Path, name: str, accepted: str | None) -> Response:
    """Return one built file, in the best available encoding that the client accepts."""
    match = _HASHED.fullmatch(name)
    if match is None or not (built / name).is_file():
        raise HTTPException(404)
    encoding, path = _encoded(built / name, accepted or "")
    headers = _ASSET_HEADERS | ({"Content-Encoding": encoding} if encoding else {})
    return FileResponse(path, headers=headers, media_type=_TYPES[match["type"]])


def _encoded(path: Path, accepted: str) -> tuple[str | None, Path]:
    """Return the copy of a file to send: brotli before gzip before the file itself."""
    taken = _codings(accepted)
    for encoding, suffix in (("br", ".br"), ("gzip", ".gz")):
        copy = path.with_name(path.name + suffix)
        if encoding in taken and copy.is_file():
            return encoding, copy
    return None, path


def _codings(accepted: str) -> set[str]:
    """Return the content codings of an Accept-Encoding header, without those of weight 0."""
    pairs = (part.replace(" ", "").lower().partition(";q=") for part in accepted.split(","))
    return {coding for coding, _, weight in pairs if not re.fullmatch(r"0(\.0*)?", weight)}
