"""The type of every amount of money."""

from typing import Any, Unpack

import strawberry
from sqlalchemy.orm import InstrumentedAttribute

from graph.fields import field
from graph.scalars import CurrencyCode, Decimal, Long
from planner.sources import Embedded, Value, ViewerField
from resolvers.field_facts import NO_SCOPE, StatedFacts, needs
from resolvers.money import Amount, amount, currency, major_units


@needs(NO_SCOPE)
@strawberry.type(description="An amount in the practice's currency; a negative amount is a credit.")
class Money:
    amount: Decimal = field(
        ViewerField(major_units),
        description='The amount in major units, with the decimals of the currency: `"125.00"`.',
    )
    minor_units: Long = field(
        Value[Amount](lambda amount: amount.minor),
        description="The amount in the smallest unit of the currency: 12500 cents.",
    )
    currency: CurrencyCode = field(ViewerField(currency), description="The practice's currency.")


def money_field(
    attribute: InstrumentedAttribute[int], description: str, **facts: Unpack[StatedFacts]
) -> Any:
    """Return a field of type Money that reads a column of the row."""
    return field(Embedded(amount(attribute.key)), description=description, **facts)
