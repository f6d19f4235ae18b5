"""Documents as they were given out."""

import datetime as dt

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.append_only import APPEND_ONLY
from models.counter import DocumentKind
from models.row import Key, Reference, Row, choice, refers


class PrintedDocument(Row):
    """The bytes of a document that were first given out, to be given out again. A void invoice has
    bytes of its own.

    The row refers to one of four tables without a foreign key; none of those rows is ever deleted.
    """

    __tablename__ = "printed_document"
    __table_args__ = (
        refers("client", "client_id"),
        CheckConstraint("kind = 'INVOICE' OR NOT is_void", name="void_is_an_invoice"),
        Index(None, "practice_id", "client_id"),
        APPEND_ONLY,
    )

    practice_id: Mapped[Key]
    kind: Mapped[DocumentKind] = mapped_column(choice(DocumentKind, "kind"), primary_key=True)
    document_id: Mapped[Key]
    is_void: Mapped[bool] = mapped_column(primary_key=True)
    client_id: Mapped[Reference]
    content: Mapped[bytes]
    # Whether it conforms to PDF/A-2a and PDF/UA-1.
    is_archival: Mapped[bool]
    printed_at: Mapped[dt.datetime]
