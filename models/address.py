"""A postal address, as columns of the row that it belongs to."""

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column


class Addressed:
    """Columns of an optional address: either all required parts of an address are there,
    or none.
    """

    address_line1: Mapped[str | None]
    address_line2: Mapped[str | None]
    address_city: Mapped[str | None]
    address_region: Mapped[str | None]
    address_postal_code: Mapped[str | None]
    address_country: Mapped[str | None] = mapped_column()


def address_is_whole() -> CheckConstraint:
    needed = ("line1", "city", "postal_code", "country")
    absent = " AND ".join(f"address_{part} IS NULL" for part in needed)
    present = " AND ".join(f"address_{part} IS NOT NULL" for part in needed)
    return CheckConstraint(f"({absent}) OR ({present})", name="address_whole")
