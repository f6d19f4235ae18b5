"""Links to documents, which the statement signs itself."""

from sqlalchemy import Text

from billing.documents.links import PREFIXES, file_name
from models import Invoice, Receipt, Statement, Superbill
from models.row import Instant
from planner.deferred import bind
from planner.json_text import Concatenation
from planner.sql_text import rfc3339, sha256
from planner.tables import RowOf, as_column
from resolvers.ids import api_id
from resolvers.request_context import from_request

Printed = Invoice | Statement | Superbill | Receipt


class DocumentRow:
    """The links of a document of one kind (`inv`, `stm`, …).

    `billing/documents/links.py` verifies the same signature.
    """

    def __init__(self, prefix: str, row: RowOf[Printed]) -> None:
        self.id = api_id(prefix)(row)
        self.print_url = self.address("print")
        self.download_url = self.address("download")
        self.expires_at = rfc3339(
            bind(from_request(lambda request: request.links.expires_at), Instant())
        )
        before, after = file_name(PREFIXES[prefix], "\0").split("\0")
        self.file_name = Concatenation([before, as_column(row.c.number), after])

    def address(self, way: str) -> Concatenation:
        stem = bind(from_request(lambda request: request.links.stem), Text())
        query = bind(from_request(lambda request: request.links.query), Text())
        key = bind(from_request(lambda request: request.links.key), Text())
        signature = sha256(Concatenation([key, self.id, f"/{way}"]))
        return Concatenation([stem, self.id, f"/{way}", query, signature])
