"""Which end of an order comes first."""

import enum


class OrderDirection(enum.StrEnum):
    ASC = "ASC"
    DESC = "DESC"
