"""A compiled statement: its text, and what each of its parameters is read from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Dialect, Select
from sqlalchemy.sql import visitors

from resolvers.planner.later import Asked, Later, is_settled, read
from resolvers.viewer import NOBODY


@dataclass(frozen=True)
class Plan:
    """A statement, and for each of its parameters the value and the driver's form of it.

    `checks` are values that no parameter has, read for the refusal that may be in them.
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
        """The plan for these variables alone: what nothing else decides is read now, once."""
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
    # What SQLAlchemy's own executor puts values through for the driver.
    process = code._bind_processors
    slots = tuple((code.params[name], process.get(name)) for name in code.positiontup or ())
    return Plan(code.string, slots, tuple(later for select in unread for later in laters(select)))


def laters(select: Select[Any]) -> Iterator[Later]:
    for element in visitors.iterate(select):
        if isinstance(element, BindParameter) and isinstance(element.value, Later):
            yield element.value


@dataclass(frozen=True)
class Planned:
    """A plan that answered, and the coerced variables that it was run with."""

    plan: Plan
    variables: Mapping[str, Any]
