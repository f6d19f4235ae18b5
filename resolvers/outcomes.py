"""What a mutation comes to: one of its result's types, and the values that its fields tell."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BindParameter, Boolean, Integer, Text
from sqlalchemy.types import TypeEngine

from billing.charging.till import Till
from models.row import ID
from resolvers.planner.later import Later, bound
from resolvers.viewer import Viewer


@dataclass(frozen=True)
class Acting:
    """Who changes something, on which day of the practice, from where, and what with.

    `address_hash` tells one network address from another, and not which it is.
    """

    viewer: Viewer
    today: dt.date
    till: Till
    address_hash: str | None


@dataclass(frozen=True)
class Outcome:
    """The name of a type of the contract, and what its fields are read from."""

    type: str
    values: Mapping[str, Any] = field(default_factory=dict)


class OutcomeRow:
    """An outcome as a plan knows it: its values are the request's, under the field's key."""

    def __init__(self, key: str) -> None:
        self.key = key

    def value(self, name: str, type_: TypeEngine[Any]) -> BindParameter[Any]:
        key = self.key
        return bound(Later(lambda asked: asked.outcomes[key].values.get(name)), type_)

    def text(self, name: str) -> BindParameter[Any]:
        return self.value(name, Text())

    def number(self, name: str) -> BindParameter[Any]:
        return self.value(name, Integer())

    def truth(self, name: str) -> BindParameter[Any]:
        return self.value(name, Boolean())

    def id(self, name: str) -> BindParameter[Any]:
        return self.value(name, ID)
