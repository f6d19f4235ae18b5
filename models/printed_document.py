"""Documents as they were given out."""

import datetime as dt

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.counter import DocumentKind
from models.row import Key, Row, choice, of_practice


class PrintedDocument(Row):
    """The bytes of a document that were first given out, to be given again; an invoice's that is
    void are others.

    It names a row of one of four tables without a foreign key; none of those rows is ever deleted.
    """

    __tablename__ = "printed_document"
    __table_args__ = (
        of_practice(),
        CheckConstraint("kind = 'INVOICE' OR NOT is_void", name="void_is_an_invoice"),
    )

    practice_id: Mapped[Key]
    kind: Mapped[DocumentKind] = mapped_column(choice(DocumentKind, "kind"), primary_key=True)
    document_id: Mapped[Key]
    is_void: Mapped[bool] = mapped_column(primary_key=True)
    content: Mapped[bytes]
    # It fulfils PDF/A-2a and PDF/UA-1.
    is_archival: Mapped[bool]
    printed_at: Mapped[dt.datetime]
