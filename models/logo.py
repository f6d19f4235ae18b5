"""A practice's logos."""

import datetime as dt

from sqlalchemy.orm import Mapped, mapped_column

from models.row import Key, Row, of_practice


class Logo(Row):
    """The picture on what a practice issues from a day on, until there is another."""

    __tablename__ = "logo"
    __table_args__ = (of_practice(),)

    practice_id: Mapped[Key]
    since: Mapped[dt.date] = mapped_column(primary_key=True)
    # A PNG, JPEG or SVG, as the first bytes tell.
    content: Mapped[bytes]
