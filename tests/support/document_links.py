"""Documents as a page opens them: create one, request its links, and fetch them."""

import io
from typing import Any

import httpx
from pypdf import PdfReader

from models import Invoice, Letterhead, Receipt, Row, Statement, Superbill
from tests.support.factories import Books
from tests.support.portal import Portal

BASE = "https://portal.example/api"
MODELS: dict[str, type[Row]] = {
    "inv": Invoice,
    "stm": Statement,
    "sbl": Superbill,
    "rct": Receipt,
}
NAMES = {"inv": "Invoice", "stm": "Statement", "sbl": "Superbill", "rct": "Receipt"}
WAYS = {"printUrl": "inline", "downloadUrl": "attachment"}
LINK = "document { printUrl downloadUrl expiresAt fileName }"
QUERY = "query ($id: ID!) { node(id: $id) {" + "".join(
    f" ... on {name} {{ {LINK} }}" for name in NAMES.values()
)
QUERY += " } }"


async def made(portal: Portal, prefix: str, client_id: str | None = None, **given: Any) -> str:
    """Insert a document of the client's, and return its API id."""
    async with portal.engine.begin() as conn:
        books = Books(conn, portal.practice_id)
        client = client_id or portal.client_id
        if prefix == "rct":
            given["payment_id"] = await books.payment(client)
        else:
            given["letterhead_id"] = await books.add(Letterhead)
            given = {"shared_at": portal.clock()} | given
        return f"{prefix}_{await books.add(MODELS[prefix], client_id=client, **given)}"


async def link(portal: Portal, id_: str, token: str | None = None) -> Any:
    response = await portal.ask(QUERY, token or await portal.token(), id=id_)
    return response.json()["data"]["node"]["document"]


async def get(portal: Portal, url: str, **how: Any) -> httpx.Response:
    """Return the response of the server behind the proxy."""
    return await portal.http.get(url.removeprefix(BASE), **how)


def text(pdf: bytes) -> str:
    return "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
