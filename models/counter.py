"""How far the numbers of a practice's documents have come."""

import enum

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.row import Key, Row, choice, of_practice


class DocumentKind(enum.StrEnum):
    INVOICE = "INVOICE"
    STATEMENT = "STATEMENT"
    SUPERBILL = "SUPERBILL"
    RECEIPT = "RECEIPT"


class DocumentCounter(Row):
    """The last number given out: in order, never reused, counted up in the writing transaction."""

    __tablename__ = "document_counter"
    __table_args__ = (of_practice(), CheckConstraint("last >= 0", name="last_positive"))

    practice_id: Mapped[Key]
    kind: Mapped[DocumentKind] = mapped_column(choice(DocumentKind, "kind"), primary_key=True)
    last: Mapped[int]
