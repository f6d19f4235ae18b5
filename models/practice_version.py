"""The version of a practice's data."""

from sqlalchemy.orm import Mapped

from models.row import Key, Row, practice_reference


class PracticeVersion(Row):
    """A counter, incremented at the end of each transaction that changes a row with a version.

    Its row stays locked until the transaction ends. So versions are in the order in which changes
    become visible, and none becomes visible late.
    """

    __tablename__ = "practice_version"
    __table_args__ = (practice_reference(),)

    practice_id: Mapped[Key]
    version: Mapped[int]
