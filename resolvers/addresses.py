"""Addresses, stored in columns of another row that are either complete or all null."""

from typing import Any

from sqlalchemy import ColumnElement, type_coerce


class AddressRow:
    """The address in a row that has one. Its columns are nullable, its values are not null."""

    def __init__(self, row: Any) -> None:
        self.c = {
            column.name: type_coerce(column, column.type)
            for column in row.c
            if column.name.startswith("address_")
        }


def is_address_present(row: Any) -> ColumnElement[bool]:
    has: ColumnElement[bool] = row.c.address_line1.is_not(None)
    return has
