"""The version of a part of a practice's data.

Triggers renew a version in the transaction that changes a row (`models/version_triggers.py`), so
statements that bypass the portal count too. Equal versions mean equal data: a version is random,
and no version is ever used twice, not even after a restore or a fail-over.
"""

import enum

from sqlalchemy.orm import Mapped

from models.row import Key, Row


class DataScope(enum.Enum):
    """The rows that an answer depends on."""

    VIEWER = "the rows of the viewer's clients, and those that all people of the practice may see"
    PRACTICE = "any row of the practice"


class DataVersion(Row):
    """The version of one part of a practice's data.

    `part` is the id of a client or contact, SHARED, or the practice's own id: its version is
    renewed with each other one. A row of a practice that was deleted stays: no other data may get
    its version.
    """

    __tablename__ = "data_version"

    practice_id: Mapped[Key]
    part: Mapped[Key]
    # A random UUID.
    version: Mapped[str]
    # The transaction of PostgreSQL that renewed the version last.
    renewed_in: Mapped[int | None]
