"""Links to printable documents."""

import datetime as dt
from functools import partial
from typing import Any

import strawberry

from graph.fields import field
from graph.scalars import URL
from planner.sources import Embedded, Value
from resolvers.document_files import OPENING
from resolvers.document_links import DocumentRow
from resolvers.field_facts import needs


@needs(OPENING)
@strawberry.type(
    description="Links to print and download a document as PDF. The URLs work without an"
    " `Authorization` header until `expiresAt`, for this viewer and this document only. Query the"
    " field again for new URLs. Needs `documents:read` and `phi:read`."
)
class DocumentLink:
    print_url: URL = field(
        Value[DocumentRow](lambda link: link.print_url),
        description="The URL that opens the document in the browser, to be printed.",
    )
    download_url: URL = field(
        Value[DocumentRow](lambda link: link.download_url),
        description="The URL that saves the document as a file.",
    )
    expires_at: dt.datetime = field(
        Value[DocumentRow](lambda link: link.expires_at),
        description="When both URLs expire: nine to ten minutes after this response.",
    )
    file_name: str = field(
        Value[DocumentRow](lambda link: link.file_name),
        description="The name of the saved file: `Invoice INV-2026-0042.pdf`.",
    )


def document_field(prefix: str) -> Any:
    """Return the field `document_field` of a type with this id prefix."""
    return field(
        Embedded(partial(DocumentRow, prefix)),
        description="Links to print and download the document as PDF.",
    )
