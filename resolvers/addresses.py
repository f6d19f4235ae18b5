"""Addresses, stored in columns of another row that are either complete or all null."""

from sqlalchemy import ColumnElement, Text, type_coerce

from models.address import Addressed
from planner.tables import RowOf


class AddressRow:
    """The address in a row that has one. Its columns are nullable, its values are not null."""

    def __init__(self, row: RowOf[Addressed]) -> None:
        self.line1 = type_coerce(row.c.address_line1, Text)
        self.line2 = row.c.address_line2
        self.city = type_coerce(row.c.address_city, Text)
        self.region = row.c.address_region
        self.postal_code = type_coerce(row.c.address_postal_code, Text)
        self.country = type_coerce(row.c.address_country, Text)


def is_address_present(row: RowOf[Addressed]) -> ColumnElement[bool]:
    return row.c.address_line1.is_not(None)
