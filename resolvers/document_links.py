"""Links to documents, which the statement signs itself."""

from typing import Any

from sqlalchemy import Text

from billing.documents.links import PREFIXES, file_name
from models.row import Instant
from planner.deferred import Later, bound
from planner.json_text import Joined
from planner.sql_text import instant, sha256
from resolvers.ids import api_id


class DocumentRow:
    """The links of a document of one kind (`inv`, `stm`, …).

    `billing/documents/links.py` verifies the same signature.
    """

    def __init__(self, prefix: str, row: Any) -> None:
        self.id = api_id(prefix)(row)
        self.print_url = self.address("print")
        self.download_url = self.address("download")
        self.expires_at = instant(bound(Later(lambda asked: asked.links.expires_at), Instant()))
        before, after = file_name(PREFIXES[prefix], "\0").split("\0")
        self.file_name = Joined([before, row.c.number, after])

    def address(self, way: str) -> Joined:
        stem = bound(Later(lambda asked: asked.links.stem), Text())
        query = bound(Later(lambda asked: asked.links.query), Text())
        key = bound(Later(lambda asked: asked.links.key), Text())
        signature = sha256(Joined([key, self.id, f"/{way}"]))
        return Joined([stem, self.id, f"/{way}", query, signature])
