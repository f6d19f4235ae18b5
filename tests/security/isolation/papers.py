"""Probes of printed documents, each by a link signed like the server's for the viewer."""

import io

import httpx
from pypdf import PdfReader
from sqlalchemy import delete

from billing.documents.links import Signer
from models import PrintedDocument, Scope
from tests.security.isolation.households import Bearer
from tests.security.isolation.matrix import Matrix
from tests.security.isolation.sight import PREFIXES, Eyes
from tests.support.portal import KEY
from tests.support.practices.random_values import NOW
from tests.support.unprotected import unprotected

NEEDED = {Scope.DOCUMENTS_READ, Scope.PHI_READ}
PAPERS = ("Invoice", "Statement", "Superbill", "Receipt")


async def documents_of_everybody(matrix: Matrix, client: httpx.AsyncClient, bearer: Bearer) -> None:
    """Check that a document opens for those who see it, and only the one of their own practice."""
    eyes, links = matrix.eyes(bearer), Signer("", KEY).links(bearer.token_id, NOW)
    for name in PAPERS:
        ids = {thing["id"] for facts in matrix.facts.values() for thing in facts.things[name]}
        for id_ in sorted(ids):
            document = f"{PREFIXES[name]}_{id_}"
            signature = links.signature(document, "print")
            url = f"{links.stem}{document}/print{links.query}{signature}"
            response = await client.get(url)
            found = heading(response.content) if response.status_code == 200 else None
            matrix.report.check(
                eyes, f"{name}.document", "by link", found, expected(eyes, name, id_)
            )


async def forget(matrix: Matrix) -> None:
    """Delete all stored prints."""
    async with unprotected(matrix.url, "printed_document") as conn:
        await conn.execute(delete(PrintedDocument))


def expected(eyes: Eyes, name: str, id_: str) -> str | None:
    """Return the expected heading of the document, or None if the viewer may not see it."""
    if eyes.bearer.state != "live" or not set(eyes.bearer.scopes) >= NEEDED:
        return None
    return next((f"{name} {thing['number']}" for thing in eyes.those(name, "id", id_)), None)


def heading(pdf: bytes) -> str:
    """Return the document's title, if it is also on its first page."""
    reader = PdfReader(io.BytesIO(pdf))
    title = str(reader.metadata.title if reader.metadata else "")
    return title if title in reader.pages[0].extract_text() else ""
