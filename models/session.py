"""Therapy sessions, and their fees."""

import datetime as dt

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from models.row import Count, Key, Minor, Reference, Row, refers


class Session(Row):
    """An appointment that took place. It is invoiced while a line of a valid invoice names it."""

    __tablename__ = "session"
    __table_args__ = (
        refers("client", "client_id"),
        refers("clinician", "clinician_id"),
        # The target of foreign keys with the client.
        UniqueConstraint("practice_id", "client_id", "id"),
        CheckConstraint("fee_minor >= 0", name="fee_positive"),
        Index(None, "practice_id", "client_id", "date", "id"),
        Index(None, "practice_id", "date", "id"),
        Index(None, "practice_id", "version"),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    client_id: Mapped[Reference]
    clinician_id: Mapped[Reference | None]
    date: Mapped[dt.date]
    starts_at: Mapped[dt.datetime | None]
    duration_minutes: Mapped[Count | None]
    description: Mapped[str]
    service_code: Mapped[str | None]
    fee_minor: Mapped[Minor]
    # The practice's version at the last change; None if it was entered without one, as demo data.
    version: Mapped[int | None]
