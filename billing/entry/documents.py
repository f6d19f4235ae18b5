"""The sharing of documents, and the PDFs that another system has given out."""

from dataclasses import dataclass
from typing import ClassVar

from billing.entry import validation as check
from billing.entry.client_ledger import ClientLedger
from billing.entry.rows import Draft
from billing.entry.statements import StatementPeriod, issue_statement
from models import DocumentKind, Invoice, PrintedDocument, Row, Statement, Superbill

TABLES: dict[DocumentKind, type[Row]] = {
    DocumentKind.INVOICE: Invoice,
    DocumentKind.STATEMENT: Statement,
    DocumentKind.SUPERBILL: Superbill,
}


@dataclass(frozen=True)
class SharedDocument:
    """A document to share. Receipts are shared from the beginning."""

    kind: ClassVar[str] = "shared_document"

    document_kind: DocumentKind
    document_id: str

    def __post_init__(self) -> None:
        if self.document_kind not in TABLES:
            raise check.invalid("document_kind", "is not shared by the practice")
        check.check_form("document_id", self.document_id, check.ID)


def share_document(draft: Draft, ledger: ClientLedger, document: SharedDocument) -> str:
    """Share a document: from now on the client sees it."""
    if document.document_kind is DocumentKind.INVOICE:
        ledger.invoice(document.document_id, may_be_void=True)
    key = {"id": document.document_id, "client_id": ledger.id}
    draft.alter(TABLES[document.document_kind], key, shared_at=draft.now)
    return document.document_id


@dataclass(frozen=True)
class KeptPdf:
    """A PDF that another system gave out for a document: kept, and given out again.

    Without a `document_id` a statement is issued for it. The hash is that of the content.
    """

    kind: ClassVar[str] = "document"

    document_kind: DocumentKind
    sha256: str
    document_id: str | None = None
    statement: StatementPeriod | None = None
    content: bytes = b""

    def __post_init__(self) -> None:
        if (self.document_id is None) is (self.statement is None):
            raise check.invalid("document_id", "is needed, or the period of a statement")
        check.check_optional_form("document_id", self.document_id, check.ID)


def keep_pdf(draft: Draft, ledger: ClientLedger, wanted: KeptPdf) -> str:
    """Keep the PDF of a document, and return the document's id."""
    document_id = wanted.document_id
    if wanted.statement is not None:
        document_id = issue_statement(draft, ledger, wanted.statement)
    elif wanted.document_kind is DocumentKind.INVOICE:
        ledger.invoice(str(document_id), may_be_void=True)
    draft.insert(
        PrintedDocument,
        kind=wanted.document_kind,
        document_id=document_id,
        is_void=False,
        content=wanted.content,
        is_archival=False,
        printed_at=draft.now,
    )
    return str(document_id)
