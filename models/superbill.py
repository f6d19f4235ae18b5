"""Superbills: documents that a client sends to an insurer, frozen when issued."""

import datetime as dt

from sqlalchemy import JSON, CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.address import Addressed, address_is_whole
from models.checks import list_of_numbers, list_of_words
from models.row import Count, Key, Minor, Reference, Row, digits, refers


class Superbill(Addressed, Row):
    """A period's visits for an insurer. The address is the client's, as it was at issue."""

    __tablename__ = "superbill"
    __table_args__ = (
        refers("client", "client_id"),
        refers("letterhead", "letterhead_id"),
        refers("letterhead", "rendering_letterhead_id"),
        UniqueConstraint("practice_id", "serial"),
        CheckConstraint("period_start <= period_end", name="period_in_order"),
        address_is_whole(),
        Index(None, "practice_id", "client_id", "issued_on", "serial"),
        Index(None, "practice_id", "issued_on", "serial"),
        Index(None, "practice_id", "version"),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    client_id: Mapped[Reference]
    # The provider that bills the visits.
    letterhead_id: Mapped[Reference]
    # The provider that held the visits; None if the same provider bills them.
    rendering_letterhead_id: Mapped[Reference | None]
    client_name: Mapped[str]
    client_date_of_birth: Mapped[dt.date | None]
    number: Mapped[str]
    serial: Mapped[int]
    issued_on: Mapped[dt.date]
    period_start: Mapped[dt.date]
    period_end: Mapped[dt.date]
    shared_at: Mapped[dt.datetime | None]
    # The practice's version at the last change; None if it was entered without one, as demo data.
    version: Mapped[int | None]


class SuperbillLine(Row):
    """One visit."""

    __tablename__ = "superbill_line"
    __table_args__ = (
        refers("superbill", "superbill_id"),
        refers("session", "session_id"),
        digits("place_of_service", 2),
        *list_of_words("modifiers"),
        *list_of_numbers("diagnosis_pointers"),
        CheckConstraint("units_hundredths > 0", name="units_positive"),
    )

    practice_id: Mapped[Key]
    superbill_id: Mapped[Key]
    position: Mapped[Count] = mapped_column(primary_key=True)
    session_id: Mapped[Reference | None]
    date: Mapped[dt.date]
    place_of_service: Mapped[str | None]
    cpt_code: Mapped[str | None]
    # Two characters each, as ["95", "GT"].
    modifiers: Mapped[list[str]] = mapped_column(JSON)
    units_hundredths: Mapped[int]
    # Positions of the superbill's diagnoses, as [1, 2].
    diagnosis_pointers: Mapped[list[int]] = mapped_column(JSON)
    fee_minor: Mapped[Minor]
    paid_minor: Mapped[Minor]


class SuperbillDiagnosis(Row):
    """An ICD-10-CM code that the lines point to by its position."""

    __tablename__ = "superbill_diagnosis"
    __table_args__ = (refers("superbill", "superbill_id"),)

    practice_id: Mapped[Key]
    superbill_id: Mapped[Key]
    position: Mapped[Count] = mapped_column(primary_key=True)
    code: Mapped[str]
    description: Mapped[str | None]
