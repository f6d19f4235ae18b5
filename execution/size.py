"""The size of an operation: numbers that describe it with all fragments expanded.

They are computed in one pass, linear in the document: the selection of a fragment is measured once,
however often it is spread.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLInt,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    OperationDefinitionNode,
    ValueNode,
    VariableNode,
)

from execution.field_cost import nesting, selects
from execution.selected_fields import SelectedDocument, SelectedField, SelectedFields
from planner.operation import ENDLESS
from planner.sources import ConnectionField, ConnectionItems, MutationField
from resolvers.list_size import list_size


@dataclass
class Size:
    """The size of a selection with its fragments expanded."""

    fields: int = 0
    depth: int = 0
    lists: int = 0
    nesting: int = 0
    selects: int = 0
    aliases: int = 0
    directives: int = 0
    changes: int = 0
    cost: int = 0
    # The cost of each item of the page, if the selection is one on a connection.
    cost_of_item: int = 0
    # Weighted number of reads of a practice's rows, by table.
    scans: dict[str, float] = field(default_factory=dict)

    def add(self, other: "Size") -> None:
        """Add a selection at the same level."""
        self.fields = min(self.fields + other.fields, ENDLESS)
        self.selects = min(self.selects + other.selects, ENDLESS)
        self.aliases = min(self.aliases + other.aliases, ENDLESS)
        self.directives = min(self.directives + other.directives, ENDLESS)
        self.changes = min(self.changes + other.changes, ENDLESS)
        self.cost = min(self.cost + other.cost, ENDLESS)
        self.cost_of_item = min(self.cost_of_item + other.cost_of_item, ENDLESS)
        self.depth = max(self.depth, other.depth)
        self.lists = max(self.lists, other.lists)
        self.nesting = max(self.nesting, other.nesting)
        self.scan(other.scans)

    def scan(self, scans: Mapping[str, float], times: int = 1) -> None:
        """Add reads of tables, repeated `times` times."""
        for table, weight in scans.items():
            self.scans[table] = min(self.scans.get(table, 0) + times * weight, ENDLESS)

    def validate(self, other: "Size") -> None:
        """Add a part that is not executed: only numbers that lengthen validation count."""
        self.fields = min(self.fields + other.fields, ENDLESS)
        self.aliases = min(self.aliases + other.aliases, ENDLESS)
        self.directives = min(self.directives + other.directives, ENDLESS)
        self.depth = max(self.depth, other.depth)


class Measure:
    """Measures one document. `numbers` are the variables that the measurement depends on."""

    def __init__(self, selected: SelectedDocument, variables: Mapping[str, Any]) -> None:
        self.selected, self.variables = selected, variables
        self.numbers: set[str] = set()
        self.measured: dict[SelectedFields, Size] = {}

    def operation(self, node: OperationDefinitionNode) -> Size:
        self.defaults = {
            v.variable.name.value: v.default_value for v in node.variable_definitions or ()
        }
        return self.selection(self.selected.operation(node))

    def whole(self, node: OperationDefinitionNode) -> Size:
        """Measure an operation and the rest of its document, which is validated too."""
        size = self.operation(node)
        for other in self.selected.document.definitions:
            if isinstance(other, OperationDefinitionNode) and other is not node:
                size.validate(self.operation(other))
        for fragment in self.selected.unused_fragments():
            size.validate(self.selection(fragment))
        return size

    def selection(self, selected: SelectedFields) -> Size:
        size = Size(directives=selected.directives)
        for one in selected.fields:
            size.add(self.field(one))
        for fragment in selected.fragments:
            if fragment not in self.measured:
                # Validation refuses a fragment that spreads itself.
                self.measured[fragment] = Size()
                self.measured[fragment] = self.selection(fragment)
            size.add(self.measured[fragment])
        return size

    def field(self, selected: SelectedField) -> Size:
        alias, own = int(selected.node.alias is not None), selects(selected)
        if selected.inside is None:
            return Size(fields=1, depth=1, aliases=alias, selects=own)
        inner, items = self.selection(selected.inside), self.items(selected)
        cost, source = selected.facts.cost, selected.source
        objects, of_item = 0, 0
        if isinstance(source, ConnectionField):
            objects = 1 + inner.cost + (items or 0) * inner.cost_of_item
        elif isinstance(source, ConnectionItems):
            of_item = 1 + inner.cost
        else:
            objects = (items or 1) * (1 + inner.cost)
        size = Size(
            fields=inner.fields + 1,
            depth=inner.depth + 1,
            lists=inner.lists + (items is not None),
            nesting=inner.nesting + nesting(selected),
            selects=inner.selects + own,
            aliases=inner.aliases + alias,
            directives=inner.directives,
            changes=int(isinstance(source, MutationField)),
            cost=min(objects + cost.objects, ENDLESS),
            cost_of_item=of_item,
        )
        size.scan(inner.scans, items or 1)
        if cost.scan:
            size.scan({cost.scan.table: cost.scan.weight(self.given_arguments(selected.node))})
        return size

    def items(self, selected: SelectedField) -> int | None:
        """Return the maximum number of objects if the field is a list, otherwise None."""
        size = list_size(selected.definition) if selected.definition else None
        if size is None:
            return None
        asked = [
            self.number(argument.value)
            for argument in selected.node.arguments or ()
            if argument.name.value in size.arguments
        ]
        most = max([number for number in asked if number is not None], default=size.assumed)
        return min(most, size.most or most)  # a larger page is refused later

    # -- arguments ---------------------------------------------------------------------------------

    def given_arguments(self, node: FieldNode) -> set[str]:
        """Return the names of the arguments that are present and not null."""
        return {
            argument.name.value
            for argument in node.arguments or ()
            if self.number(argument.value) is not None
        }

    def number(self, value: ValueNode | None) -> int | None:
        """Return the number that a value contributes: the integer itself, or the length of a list.

        Return None if the value is null or omitted. A value of the wrong type is refused later, at
        any cost.
        """
        if isinstance(value, VariableNode):
            name = value.name.value
            self.numbers.add(name)
            if name not in self.variables:
                return self.number(self.defaults.get(name))
            return self.number_of(name)
        if value is None or isinstance(value, NullValueNode):
            return None
        if isinstance(value, ListValueNode):
            return max(len(value.values), 1)
        text = value.value if isinstance(value, IntValueNode) else "1"
        return min(max(int(text), 1), ENDLESS) if len(text) < 15 else ENDLESS

    def number_of(self, name: str) -> int | None:
        """Return the same number for a variable, as the schema coerces it; 0 if it is omitted."""
        if name not in self.variables:
            return 0
        given = self.variables[name]
        if isinstance(given, list):
            return max(len(given), 1)
        return given if given is None else max(integer(given), 1)


def integer(given: Any) -> int:
    """Return the integer that GraphQL coerces a JSON value to; 1 for any other value."""
    try:
        return int(GraphQLInt.parse_value(given))
    except GraphQLError:
        return 1
