"""A compiled statement: its text and the sources of its parameters."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Dialect, Select
from sqlalchemy.sql import visitors

from identity.viewer import NOBODY
from planner.deferred import Asked, Later, is_settled, read


@dataclass(frozen=True)
class Plan:
    """A statement, and for each parameter the value and the driver's conversion.

    `checks` are values without a parameter. They are read because reading may raise a Refusal.
    """

    sql: str
    slots: tuple[tuple[Any, Callable[[Any], Any] | None], ...]
    checks: tuple[Later, ...] = ()

    def values(self, asked: Asked) -> list[Any]:
        for check in self.checks:
            check.read(asked)
        return [
            process(read(value, asked)) if process else read(value, asked)
            for value, process in self.slots
        ]

    def settled(self, variables: Mapping[str, Any]) -> "Plan":
        """Return the plan for these variables, with values that depend on them alone evaluated."""
        asked = Asked(NOBODY, NOBODY.expires_at, variables)
        slots = tuple(
            (process(read(value, asked)) if process else read(value, asked), None)
            if is_settled(value)
            else (value, process)
            for value, process in self.slots
        )
        return Plan(self.sql, slots, tuple(each for each in self.checks if not is_settled(each)))


def compiled(statement: Select[Any], dialect: Dialect, unread: Sequence[Select[Any]] = ()) -> Plan:
    code: Any = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    # The conversions that SQLAlchemy's own executor applies to values for the driver.
    process = code._bind_processors
    slots = tuple((code.params[name], process.get(name)) for name in code.positiontup or ())
    return Plan(code.string, slots, tuple(later for select in unread for later in laters(select)))


def laters(select: Select[Any]) -> Iterator[Later]:
    for element in visitors.iterate(select):
        if isinstance(element, BindParameter) and isinstance(element.value, Later):
            yield element.value


@dataclass(frozen=True)
class Planned:
    """A plan that produced a response, and the coerced variables of that run."""

    plan: Plan
    variables: Mapping[str, Any]
