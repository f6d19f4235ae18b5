"""The sharing of documents that were issued unshared."""

from dataclasses import dataclass
from typing import ClassVar

from billing.entry import validation as check
from billing.entry.client_ledger import ClientLedger
from billing.entry.rows import Draft
from models import DocumentKind, Invoice, Row, Statement, Superbill

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
