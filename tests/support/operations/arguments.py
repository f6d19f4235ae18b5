"""Random arguments: first a value is chosen, then its form.

The form is a literal, a variable, a variable's default, or a literal with variables inside.
"""

import datetime as dt
import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    get_nullable_type,
)
from hypothesis import strategies as st

from tests.support.operations.pools import (
    DAYS,
    EDGES,
    FIRST_OF_ALL,
    JUNK_CURSORS,
    JUNK_IDS,
    JUNK_NODES,
    TO_COME,
    Pool,
)
from tests.support.practices.random_values import TODAY

ORDERS = {
    "statements": "statement",
    "superbills": "superbill",
    "sessions": "session",
    "accountHistory": "history",
    "ledger": "history",
    "payments": "payment",
    "receipts": "receipt",
    "accessLog": "access",
}
INVOICE_ORDERS = {
    "ISSUED_ON": "invoice-issued",
    "DUE_ON": "invoice-due",
    "NUMBER": "invoice-number",
}
# The percentage of arguments that are refused.
JUNK = 2

Draw = Callable[[Any], Any]

# Cached, since an operation takes some thousand of them.
between = cache(st.integers)


class Choices:
    """Choices made by Hypothesis, which reduces them when a test fails."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw

    def one(self, choices: Sequence[Any]) -> Any:
        return choices[self.number(0, len(choices) - 1)]

    def number(self, least: int, most: int) -> int:
        found: int = self.draw(between(least, most))
        return found

    def chance(self, percent: int) -> bool:
        # Hypothesis favours both ends of a range, and reduces numbers towards False.
        return self.number(0, 99) in range(50 - percent // 2, 50 - percent // 2 + percent)


class Arguments(Choices):
    """The arguments of an operation's fields, and the variables that they need."""

    def __init__(self, draw: Draw, pool: Pool) -> None:
        super().__init__(draw)
        self.pool = pool
        self.declared: list[str] = []
        self.variables: dict[str, Any] = {}
        self.names = 0
        self.has_junk = False

    def name(self, letter: str) -> str:
        self.names += 1
        return f"{letter}{self.names}"

    def of(self, field: str, arguments: Any, *, nested: bool, most: int) -> str:
        """Return a field's arguments as document text, with parentheses."""
        match field:
            case "client":
                values = self.of_client()
            case "node":
                values = {"id": self.node_id()}
            case "nodes":
                values = {"ids": [self.node_id() for _ in range(self.number(0, 6))]}
            case "clients":
                values = self.of_clients()
            case "revenue":
                values = self.of_revenue()
            case "aging":
                values = self.of_aging()
            case "balance":
                values = {"asOf": self.past_day() if self.chance(50) else None}
            case _:
                values = self.of_list(field, nested=nested, most=most)
        written = [
            f"{name}: {self.written(arguments[name].type, value)}"
            for name, value in values.items()
            if name in arguments and (value is not None or self.chance(15))
        ]
        return f"({', '.join(written)})" if written else ""

    def junk(self) -> bool:
        """Return whether this value should be one that is refused."""
        found = self.chance(JUNK)
        self.has_junk = self.has_junk or found
        return found

    # -- values ------------------------------------------------------------------------------------

    def of_client(self) -> dict[str, Any]:
        if self.pool.sees_one and self.chance(60):
            return {"id": None}
        ids = list(self.pool.client_ids) if self.chance(90) else list(self.pool.strange_ids)
        return {"id": self.one(JUNK_IDS) if self.junk() else self.one(ids or self.pool.strange_ids)}

    def node_id(self) -> str:
        if self.junk():
            return str(self.one(JUNK_NODES))
        if self.pool.hidden_ids and self.chance(15):
            return str(self.one(self.pool.hidden_ids))
        return str(self.one(self.pool.node_ids[self.one(list(self.pool.node_ids))]))

    def of_revenue(self) -> dict[str, Any]:
        period = self.one([*PERIODS, None])
        first, last = sorted([self.one(EDGES), self.one(EDGES)])
        if self.chance(20):
            first = last
        if self.junk():
            first, last = self.one(
                [(None, last), (first, None), (None, None), (last, FIRST_OF_ALL)]
            )
        elif period == "DAY":
            first = max(first, last - dt.timedelta(days=self.one([1, 40, 399])))
        ends = {"gte": first and str(first), "lte": last and str(last)}
        values: dict[str, Any] = {
            "dateRange": ends,
            "clinicianId": self.clinician_id() if self.chance(35) else None,
        }
        return values | ({"groupBy": period} if period else {})

    def of_aging(self) -> dict[str, Any]:
        return {
            "asOf": self.past_day() if self.chance(80) else None,
            "clinicianId": self.clinician_id() if self.chance(35) else None,
        }

    def past_day(self) -> str:
        past = [day for day in EDGES if day <= TODAY]
        return str(TO_COME if self.junk() else self.one(past))

    def of_clients(self) -> dict[str, Any]:
        """Choose arguments of the list of clients; few search or order by name without
        the scope.
        """
        told = self.pool.sees_health or self.chance(1)
        by = self.one(["NAME", "CREATED"]) if told else "CREATED"
        order_by: Any = {"direction": self.one(["ASC", "DESC"])} if self.chance(60) else {}
        if by == "CREATED" or self.chance(40):
            order_by = {"field": by} | order_by
        return {
            "search": self.one(self.pool.searches) if told and self.chance(50) else None,
            "withBalance": self.one([True, False]) if self.chance(30) else None,
            "isArchived": self.one([True, False]) if self.chance(30) else None,
            "changedSince": self.version() if self.chance(25) else None,
            "orderBy": order_by or self.one([None, {}]),
            **self.page(self.pool.cursors[CLIENT_ORDERS[by]], nested=False, most=500),
        }

    def of_list(self, field: str, *, nested: bool, most: int) -> dict[str, Any]:
        order_by, order = self.order(field)
        statuses: Any = PAYMENT_STATUSES if field == "payments" else INVOICE_STATUSES
        kinds = HISTORY_KINDS
        return {
            "dateRange": self.date_range(often=field == "accountHistory"),
            "status": self.some(statuses) if self.chance(30) else None,
            "kind": self.some(kinds) if self.chance(30) else None,
            "pastDue": self.one([True, False]) if self.chance(25) else None,
            "clinicianId": self.clinician_id() if most == 500 and self.chance(25) else None,
            "changedSince": self.version() if most == 500 and self.chance(25) else None,
            "orderBy": order_by,
            **self.page(self.pool.cursors[order], nested=nested, most=most),
        }

    def order(self, field: str) -> tuple[Any, str]:
        """Return an order of invoices and its name; the other lists have a single order."""
        if field != "invoices":
            return None, ORDERS[field]
        by = self.one(list(INVOICE_ORDERS))
        direction = {"direction": self.one(["ASC", "DESC"])} if self.chance(60) else {}
        if by != "ISSUED_ON" or self.chance(30):
            return {"field": by} | direction, INVOICE_ORDERS[by]
        return direction or self.one([None, {}]), INVOICE_ORDERS[by]

    def version(self) -> str:
        return str(self.one(["x", "-1", "07"] if self.junk() else ["0", "3", "8", "9"]))

    def clinician_id(self) -> str:
        ids = self.pool.clinician_ids
        return str(self.one([*JUNK_IDS, *self.pool.client_ids] if self.junk() else ids))

    def page(self, cursors: Sequence[str], *, nested: bool, most: int) -> dict[str, Any]:
        size, cursor = self.one(["first", "first", "last"]), self.one(["after", "after", "before"])
        if size == "last":
            cursor = self.one(["before", "before", "after"])
        # Nested lists have small pages, since the limits count their items.
        has_size = nested or self.chance(75)
        values: dict[str, Any] = {size: self.size(nested, most)} if has_size else {}
        if self.chance(50) and cursors:
            values[cursor] = self.one(JUNK_CURSORS) if self.junk() else self.one(cursors)
        if self.junk():
            values["last" if size == "first" else "first"] = 2
        return values

    def size(self, nested: bool, most: int) -> int:
        sizes = [1, 2, 3] if nested else [1, 2, 3, 5, most]
        found: int = self.one([0, most + 1, -1]) if self.junk() else self.one(sizes)
        return found

    def date_range(self, *, often: bool) -> Any:
        if not self.chance(65 if often else 30):
            return None
        first, last = sorted([self.one(DAYS), self.one(DAYS)])
        if first != last and self.junk():
            first, last = last, first
        ends = {"gte": str(first), "lte": str(last)}
        if self.chance(60):
            return ends
        return self.one([{}, {"gte": str(first)}, {"lte": str(last)}, ends | {"gte": None}])

    def some(self, choices: Sequence[str]) -> list[str]:
        return [self.one(choices) for _ in range(self.number(0, 3))]

    # -- forms -------------------------------------------------------------------------------------

    def written(self, type_: Any, value: Any) -> str:
        """Return the value as document text, perhaps as a variable."""
        if self.chance(45):
            return self.variable(type_, value)
        bare = get_nullable_type(type_)
        if isinstance(value, dict) and isinstance(bare, GraphQLInputObjectType):
            inner = (f"{k}: {self.written(bare.fields[k].type, v)}" for k, v in value.items())
            return "{" + ", ".join(inner) + "}"
        if isinstance(value, list) and isinstance(bare, GraphQLList):
            return "[" + ", ".join(self.written(bare.of_type, item) for item in value) + "]"
        return literal(bare, value)

    def variable(self, type_: Any, value: Any) -> str:
        name, bare = self.name("v"), get_nullable_type(type_)
        if value is None:
            # An absent variable equals null if there is no default.
            self.declared.append(f"${name}: {bare}")
            if self.chance(50):
                self.variables[name] = None
        elif self.chance(20):
            self.declared.append(f"${name}: {bare} = {literal(bare, value)}")
        else:
            strict = "!" if isinstance(type_, GraphQLNonNull) or self.chance(30) else ""
            self.declared.append(f"${name}: {bare}{strict}")
            self.variables[name] = value
        return f"${name}"


PERIODS = ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
INVOICE_STATUSES = ("UNPAID", "PAID", "PARTIALLY_PAID", "VOID")
PAYMENT_STATUSES = (
    "PENDING", "REQUIRES_ACTION", "PROCESSING", "SUCCEEDED", "DISPUTED", "CHARGED_BACK", "FAILED",
    "CANCELED",
)  # fmt: skip
CLIENT_ORDERS = {"NAME": "client-name", "CREATED": "client-created"}
HISTORY_KINDS = (
    "SESSION",
    "CHARGE",
    "PAYMENT",
    "REFUND",
    "CREDIT",
    "ADJUSTMENT",
    "WRITE_OFF",
    "DISPUTE",
)


def literal(type_: Any, value: Any) -> str:
    """Return the value as a GraphQL literal."""
    bare = get_nullable_type(type_)
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{k}: {literal(bare.fields[k].type, v)}" for k, v in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(literal(bare.of_type, item) for item in value) + "]"
    return str(value) if isinstance(bare, GraphQLEnumType) and value else json.dumps(value)
