"""The keys of other systems: which of their records were entered as which rows here."""

import datetime as dt

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from models.row import ByCode, Key, Reference, Row, practice_reference


class ExternalReference(Row):
    """A record of another system, and the row that was made of it.

    The same record can be sent again: with the same content nothing is entered a second time.
    """

    __tablename__ = "external_reference"
    __table_args__ = (practice_reference(), Index(None, "practice_id", "row_id"))

    practice_id: Mapped[Key]
    # The other system, as "simplepractice".
    source: Mapped[str] = mapped_column(ByCode, primary_key=True)
    # The kind of record, as "invoice".
    kind: Mapped[str] = mapped_column(ByCode, primary_key=True)
    external_id: Mapped[str] = mapped_column(ByCode, primary_key=True)
    row_id: Mapped[Reference]
    # A hash of the record's content, to tell a repetition from a change.
    digest: Mapped[str]
    changed_at: Mapped[dt.datetime]
