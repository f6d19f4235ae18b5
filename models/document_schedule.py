"""The days on which a practice's statements and superbills are issued by themselves."""

import datetime as dt

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.counter import DocumentKind
from models.row import Count, Key, Row, choice, practice_reference


class DocumentSchedule(Row):
    """A practice's choice for one kind of document: the day of the next month to issue it on.

    Without a row, documents of the kind are issued by command alone.
    """

    __tablename__ = "document_schedule"
    __table_args__ = (
        practice_reference(),
        UniqueConstraint("practice_id", "kind"),
        CheckConstraint("kind IN ('STATEMENT', 'SUPERBILL')", name="kind_is_of_a_month"),
        # Every month has these days.
        CheckConstraint("day_of_month BETWEEN 1 AND 28", name="day_of_every_month"),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    kind: Mapped[DocumentKind] = mapped_column(choice(DocumentKind, "kind"))
    day_of_month: Mapped[Count]
    # The first day of the month whose documents are issued next.
    month: Mapped[dt.date]
    # The time from which they are issued, or tried again.
    attempt_at: Mapped[dt.datetime]
    # The end of the issuing worker's lease, by the database's clock.
    leased_until: Mapped[dt.datetime | None]
