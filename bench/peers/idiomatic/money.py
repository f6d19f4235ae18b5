"""Amounts as the API has them."""

from decimal import Decimal

import strawberry

from billing.money import digits


@strawberry.type
class Money:
    amount: Decimal
    currency: str

    @classmethod
    def of(cls, minor: int, currency: str) -> "Money":
        return cls(amount=Decimal(minor).scaleb(-digits(currency)), currency=currency)
