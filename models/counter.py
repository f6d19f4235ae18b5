"""The counters of document numbers."""

import enum

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import Word
from models.row import Key, Row, choice, practice_reference


class DocumentKind(enum.StrEnum):
    INVOICE = "INVOICE"
    STATEMENT = "STATEMENT"
    SUPERBILL = "SUPERBILL"
    RECEIPT = "RECEIPT"


class DocumentCounter(Row):
    """The last number that was used: consecutive, never reused, incremented in the transaction that
    writes the document.
    """

    __tablename__ = "document_counter"
    __table_args__ = (practice_reference(), CheckConstraint("last >= 0", name="last_positive"))

    practice_id: Mapped[Key]
    kind: Mapped[DocumentKind] = mapped_column(choice(DocumentKind, "kind"), primary_key=True)
    last: Mapped[int]
    # The beginning of the numbers, as INV; None: the standard one of the kind.
    prefix: Mapped[str | None] = mapped_column(Word)
