"""How far a practice's invoices and payments have changed."""

from sqlalchemy.orm import Mapped

from models.row import Key, Row, of_practice


class PracticeVersion(Row):
    """Counted up last in each transaction that changes an invoice or a payment, and held until it
    ends: so versions are in the order in which changes can be seen, and none is seen late."""

    __tablename__ = "practice_version"
    __table_args__ = (of_practice(),)

    practice_id: Mapped[Key]
    version: Mapped[int]
