"""A practice's logos."""

import datetime as dt

from sqlalchemy.orm import Mapped, mapped_column

from models.row import Key, Row, practice_reference


class Logo(Row):
    """The logo of a practice's documents from a date on, until the next one."""

    __tablename__ = "logo"
    __table_args__ = (practice_reference(),)

    practice_id: Mapped[Key]
    since: Mapped[dt.date] = mapped_column(primary_key=True)
    # A PNG, JPEG or SVG, recognised by the first bytes.
    content: Mapped[bytes]
