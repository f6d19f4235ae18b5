"""A compiled statement: its text and the sources of its parameters."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import BindParameter, Dialect, Select
from sqlalchemy.sql import visitors

from planner.deferred import Deferred, Variables, evaluate, is_settled


@dataclass(frozen=True)
class Plan:
    """A statement, and for each parameter the value and the driver's conversion.

    `checks` are values without a parameter. They are read because reading may raise a Refusal.
    `scope` is the caller's own: the part of the data that the statement's result depends on. Plans
    with the same `identity` are of the same statement.
    """

    sql: str
    slots: tuple[tuple[Any, Callable[[Any], Any] | None], ...]
    checks: tuple[Deferred[Any], ...] = ()
    scope: Any = field(default=None, compare=False)
    identity: object = field(default_factory=object, compare=False, repr=False)

    def values(self, request: object) -> list[Any]:
        """Return the parameters' values. `request` is the object that the values are read from."""
        for check in self.checks:
            check.read(request)
        values = []
        for value, process in self.slots:
            if isinstance(value, Deferred):
                value = value.read(request)
            values.append(process(value) if process else value)
        return values

    def specialize(self, variables: Mapping[str, Any]) -> "Plan":
        """Return the plan for these variables, with values that depend on them alone evaluated."""
        request = Variables(variables)
        slots = tuple(
            (process(evaluate(value, request)) if process else evaluate(value, request), None)
            if is_settled(value)
            else (value, process)
            for value, process in self.slots
        )
        checks = tuple(each for each in self.checks if not is_settled(each))
        return replace(self, slots=slots, checks=checks)


def compile_plan(
    statement: Select[Any], dialect: Dialect, unread: Sequence[Select[Any]] = ()
) -> Plan:
    code: Any = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    # The conversions that SQLAlchemy's own executor applies to values for the driver.
    process = code._bind_processors
    slots = tuple((code.params[name], process.get(name)) for name in code.positiontup or ())
    return Plan(
        code.string, slots, tuple(later for select in unread for later in deferred_values(select))
    )


def deferred_values(select: Select[Any]) -> Iterator[Deferred[Any]]:
    for element in visitors.iterate(select):
        if isinstance(element, BindParameter) and isinstance(element.value, Deferred):
            yield element.value


@dataclass(frozen=True)
class ExecutedPlan:
    """A plan that produced a response, and the coerced variables of that run."""

    plan: Plan
    variables: Mapping[str, Any]
