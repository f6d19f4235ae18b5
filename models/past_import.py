"""The imports of a practice's records from another system."""

import datetime as dt

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from models.row import Key, Row, practice_reference


class PastImport(Row):
    """An import that has entered something. Its rows are those of its time.

    References to the other system's records and links of the hash chain have the same time.
    """

    __tablename__ = "past_import"
    __table_args__ = (practice_reference(), Index(None, "practice_id", "imported_at"))

    practice_id: Mapped[Key]
    id: Mapped[Key]
    source: Mapped[str]
    imported_at: Mapped[dt.datetime]
    # The name of the operator or of the token.
    imported_by: Mapped[str | None]
    # The numbers of records that were new, and that were changed.
    entered: Mapped[int]
    changed: Mapped[int]
    undone_at: Mapped[dt.datetime | None]
