"""Addresses: columns of another row, all that an address needs or nothing."""

from typing import Any

from sqlalchemy import ColumnElement, type_coerce


class AddressRow:
    """The address in a row that has one. Its columns may be null, these values are not."""

    def __init__(self, row: Any) -> None:
        self.c = {
            column.name: type_coerce(column, column.type)
            for column in row.c
            if column.name.startswith("address_")
        }


def has_address(row: Any) -> ColumnElement[bool]:
    has: ColumnElement[bool] = row.c.address_line1.is_not(None)
    return has
