"""Printable documents, looked up for viewers that open a link."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from sqlalchemy import ColumnElement, Dialect, FromClause, and_, false, select

from billing.documents.links import file_name
from identity.viewer import Viewer
from models import (
    DocumentKind,
    Invoice,
    PrintedDocument,
    Receipt,
    Scope,
    Statement,
    Superbill,
    ViewerKind,
)
from models.database import Reads
from models.literals import constant
from models.row import ID
from planner.deferred import bind
from planner.plan import Plan, compile_plan
from resolvers.request_context import RequestContext, from_request
from resolvers.visibility import Visibility

TABLES: dict[DocumentKind, type[Invoice | Receipt | Statement | Superbill]] = {
    DocumentKind.INVOICE: Invoice,
    DocumentKind.STATEMENT: Statement,
    DocumentKind.SUPERBILL: Superbill,
    DocumentKind.RECEIPT: Receipt,
}

# The scopes needed for any document, since all documents are health information.
OPENING = frozenset({Scope.DOCUMENTS_READ, Scope.PHI_READ})


@dataclass(frozen=True)
class FoundDocument:
    """A visible document, and its stored bytes if it was printed before."""

    file_name: str
    content: bytes | None


class PrintedDocuments:
    """Looks up documents, each by one statement."""

    def __init__(self, reads: Reads) -> None:
        self.reads = reads
        self.plans = document_statements(reads.dialect)

    async def find(
        self, viewer: Viewer, kind: DocumentKind, id_: str, now: dt.datetime
    ) -> FoundDocument | None:
        """Return the document if it is visible to this viewer."""
        if not viewer.scopes >= OPENING:
            return None
        plan = self.plans[kind, viewer.kind]
        values = plan.values(RequestContext(viewer, now, {"id": id_}))
        row = await self.reads.row(plan.sql, values, viewer.caller)
        return FoundDocument(file_name(kind, row[0]), row[1]) if row else None


@cache
def document_statements(dialect: Dialect) -> Mapping[tuple[DocumentKind, ViewerKind], Plan]:
    """Return the statement of each kind of document and viewer, compiled once in a process."""
    return {
        (kind, viewer): document_statement(kind, viewer, dialect)
        for kind in DocumentKind
        for viewer in ViewerKind
    }


def document_statement(kind: DocumentKind, viewer: ViewerKind, dialect: Dialect) -> Plan:
    visible = Visibility(viewer, digits=0, lateral=False)
    table, printed = visible(TABLES[kind]), PrintedDocument.__table__.alias()
    same = and_(
        printed.c.practice_id == table.c.practice_id,
        printed.c.kind == constant(kind),
        printed.c.document_id == table.c.id,
        printed.c.is_void == void_flag(kind, table),
    )
    wanted = bind(from_request(lambda request: request.variables["id"]), ID)
    statement = (
        select(table.c.number, printed.c.content)
        .select_from(table.outerjoin(printed, same))
        .where(visible.predicate_for(table), table.c.id == wanted)
    )
    visible.check(statement)
    return compile_plan(statement, dialect)


def void_flag(kind: DocumentKind, table: FromClause) -> ColumnElement[bool]:
    """Return whether the document is void. Only invoices can be."""
    return table.c.is_void if kind is DocumentKind.INVOICE else false()
