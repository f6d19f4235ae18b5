"""Sort directions."""

import enum


class OrderDirection(enum.StrEnum):
    ASC = "ASC"
    DESC = "DESC"
