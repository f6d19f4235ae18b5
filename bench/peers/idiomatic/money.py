"""Amounts as in the API."""

from decimal import Decimal

import strawberry

from billing.money import currency_digits


@strawberry.type
class Money:
    amount: Decimal
    currency: str

    @classmethod
    def of(cls, minor: int, currency: str) -> "Money":
        return cls(amount=Decimal(minor).scaleb(-currency_digits(currency)), currency=currency)
