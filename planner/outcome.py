"""The outcome of a mutation field: the name of its result type, and the values of its fields."""

from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy import BindParameter, Boolean, Integer, Text
from sqlalchemy.types import TypeEngine

from planner.deferred import Deferred, bind


class MutationOutcome(Protocol):
    """The name of a result type, and the values that its fields are read from."""

    @property
    def type(self) -> str: ...

    @property
    def values(self) -> Mapping[str, Any]: ...


class RequestWithOutcomes(Protocol):
    """A request after its mutation fields have run, with their outcomes by response key."""

    @property
    def outcomes(self) -> Mapping[str, MutationOutcome]: ...


class OutcomeRow:
    """A stand-in for a table's row, for the fields of a mutation's result.

    Its columns are parameters of the statement. Each request binds them to the values of the
    outcome under the response key.
    """

    def __init__(self, key: str) -> None:
        self.key = key

    def value(self, name: str, type_: TypeEngine[Any]) -> BindParameter[Any]:
        """Return a parameter with the outcome's value of this name, or NULL without one."""

        def read(request: RequestWithOutcomes) -> Any:
            return request.outcomes[self.key].values.get(name)

        return bind(Deferred(read), type_)

    def text(self, name: str) -> BindParameter[Any]:
        return self.value(name, Text())

    def number(self, name: str) -> BindParameter[Any]:
        return self.value(name, Integer())

    def boolean(self, name: str) -> BindParameter[Any]:
        return self.value(name, Boolean())
