"""The address /documents/…: a document as PDF, by a signed link for one viewer."""

import datetime as dt
import logging
from collections.abc import Callable
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from billing.documents.links import LinkTarget, Signer
from billing.documents.printer import Busy, Printer
from billing.practices import PracticeMisconfigured
from execution.authentication import Authenticator
from execution.read_audit import ReadAuditLog, RequestReads, Unwritten
from identity.viewer import Viewer
from models import DocumentKind
from models.database import RateLimited, StatementTimeout, TransientError
from resolvers.document_files import PrintedDocuments
from resolvers.ids import bare
from server.http.errors import RETRY_AFTER_S, log_internal_error, misconfigured

# Instructions for caches, browsers and search engines: store nothing, and reveal nothing.
HEADERS = {
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<h1>{title}</h1>
<p>{text}</p>
</html>
"""
# The seconds to wait if too many documents are being printed.
MANY_S = "60"
log = logging.getLogger("portal")


class Documents:
    """The handler of the links in `DocumentLink`."""

    def __init__(
        self,
        signer: Signer,
        authenticator: Authenticator,
        documents: PrintedDocuments,
        printer: Printer,
        read_audit: ReadAuditLog,
        address: Callable[[Request], str | None],
        now: Callable[[], dt.datetime],
    ) -> None:
        self.signer, self.authenticator, self.address, self.now = (
            signer,
            authenticator,
            address,
            now,
        )
        self.documents, self.printer, self.read_audit = documents, printer, read_audit

    def addresses(self) -> Route:
        return Route("/documents/{address:path}", self.answer)

    async def answer(self, request: Request) -> Response:
        try:
            return await self.found(request) or not_found_page()
        except Busy:
            return busy_page("Many documents are being printed. Try again in a minute.", MANY_S)
        except RateLimited as limited:
            text = "Too many requests within a minute. Try again in a moment."
            return busy_page(text, str(limited.retry_after_s), status=429)
        except (TransientError, StatementTimeout, Unwritten) as error:
            log.warning("a document was not sent: %s", error or type(error).__name__)
            return busy_page("The server cannot answer now. Try again in a moment.", RETRY_AFTER_S)
        except PracticeMisconfigured as error:
            away = misconfigured(error)
            return html_page(away.status, "That didn't work", f"{str(away).capitalize()}.")
        except Exception:
            id_ = log_internal_error()
            return html_page(
                500, "That didn't work", f"The server's log has the reason under the id {id_}."
            )

    async def found(self, request: Request) -> Response | None:
        now = self.now()
        link = self.signer.read(requested_address(request), now)
        if link is None:
            return None
        viewer = await self.authenticator.by_token_id(link.viewer_id, now)
        if viewer is None:
            return None
        way = "Download" if link.is_download else "Print"
        found = await self.file(viewer, link.kind, link.document, way, self.address(request))
        return None if found is None else open_document(link, *found)

    async def file(
        self, viewer: Viewer, kind: DocumentKind, document: str, way: str, address: str | None
    ) -> tuple[str, bytes] | None:
        """Return the file name and the bytes of a document that the viewer may open, and record
        the read. `way` says in the audit log how the document was opened.
        """
        now, id_ = self.now(), bare(document)
        seen = await self.documents.find(viewer, kind, id_, now)
        if seen is None:
            return None
        content = seen.content
        if content is None:
            made = await self.printer.print(kind, viewer.practice_id, id_)
            content = made[1].content if made else None
        if content is None:
            return None
        fields = (f"{kind.capitalize()}.document",)
        reads = RequestReads(way, fields, ids=frozenset({document}))
        await self.read_audit.read(viewer, reads, b"", address, now)
        return seen.file_name, content


def requested_address(request: Request) -> str:
    """Return the address as it was sent, from the document's id on."""
    raw: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return f"{raw.decode('latin-1').rpartition('/documents/')[2]}?{query.decode('latin-1')}"


def open_document(link: LinkTarget, file_name: str, content: bytes) -> Response:
    way = "attachment" if link.is_download else "inline"
    headers = HEADERS | {"Content-Disposition": f"{way}; {content_disposition(file_name)}"}
    return Response(content, media_type="application/pdf", headers=headers)


def content_disposition(file_name: str) -> str:
    """Return a file name for a header: an ASCII form for all browsers, and the form of RFC 6266."""
    plain = "".join(
        c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in file_name
    )
    return f"filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"


# -- error pages -----------------------------------------------------------------------------------


def not_found_page() -> Response:
    """Return the page for an invalid or expired link, and for a document that isn't visible."""
    text = (
        "Links to documents work for ten minutes, and only for the person they were made for."
        " Open the document from the billing page again."
    )
    return html_page(404, "This link does not work", text)


def busy_page(text: str, retry_after_s: str, status: int = 503) -> Response:
    response = html_page(status, "One moment", text)
    response.headers["Retry-After"] = retry_after_s
    return response


def html_page(status: int, title: str, text: str) -> Response:
    policy = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
    return HTMLResponse(PAGE.format(title=title, text=text), status, HEADERS | policy)
