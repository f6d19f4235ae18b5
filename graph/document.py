"""Documents on paper: where each opens and is saved from."""

import datetime as dt
from typing import Any

import strawberry

from graph.scalars import URL
from resolvers.links import DocumentRow
from resolvers.planner.sources import Part, Value, field


@strawberry.type(
    description="Print and Download: a document as PDF. The addresses work without a header until"
    " `expiresAt`, for this viewer and this document alone; ask again for newer ones. Needs"
    " `documents:read` and `phi:read`."
)
class DocumentLink:
    print_url: URL = field(
        Value(lambda link: link.print_url), description="Opens it in the browser, to be printed."
    )
    download_url: URL = field(
        Value(lambda link: link.download_url), description="Saves it as a file."
    )
    expires_at: dt.datetime = field(
        Value(lambda link: link.expires_at), description="When both stop working: in ten minutes."
    )
    file_name: str = field(
        Value(lambda link: link.file_name),
        description="What it is saved as: `Invoice INV-2026-0042.pdf`.",
    )


def document(prefix: str) -> Any:
    """The field `document` of a kind of document, by how its ids begin."""
    return field(
        Part(lambda row: DocumentRow(prefix, row)),
        description="Where it opens and is saved from, as PDF.",
    )
