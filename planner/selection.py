"""Field selection with fragments expanded: CollectFields of the GraphQL specification."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSkipDirective,
    SelectionNode,
    SelectionSetNode,
    get_directive_values,
    is_abstract_type,
)
from graphql.execution.values import VariableValues

from planner.deferred import Unplannable

Selected = dict[str, list[FieldNode]]


@dataclass(frozen=True)
class Selection:
    """The fragments and variables of a document, with which its selection sets are read."""

    schema: GraphQLSchema
    fragments: dict[str, FragmentDefinitionNode]
    variables: VariableValues

    def fields(self, type_: GraphQLObjectType, sets: Iterable[SelectionSetNode]) -> Selected:
        """Return the fields by response key, in the order of the response."""
        fields: Selected = {}
        visited: set[str] = set()
        for node in self.selected(type_, sets, visited):
            fields.setdefault((node.alias or node.name).value, []).append(node)
        return fields

    def selected(
        self, type_: GraphQLObjectType, sets: Iterable[SelectionSetNode], visited: set[str]
    ) -> Iterator[FieldNode]:
        for node in (node for set_ in sets for node in set_.selections if self.included(node)):
            if isinstance(node, FieldNode):
                yield node
                continue
            fragment: Any = node
            if isinstance(node, FragmentSpreadNode):
                if node.name.value in visited:
                    continue
                visited.add(node.name.value)
                fragment = self.fragments[node.name.value]
            if self.applies(fragment, type_):
                yield from self.selected(type_, [fragment.selection_set], visited)

    def applies(self, fragment: Any, type_: GraphQLObjectType) -> bool:
        if fragment.type_condition is None:
            return True
        condition = self.schema.type_map[fragment.type_condition.name.value]
        return condition is type_ or (
            is_abstract_type(condition) and self.schema.is_sub_type(condition, type_)
        )

    def included(self, node: SelectionNode) -> bool:
        if any(d.name.value not in ("skip", "include") for d in node.directives or ()):
            raise Unplannable("a directive")
        skip = get_directive_values(GraphQLSkipDirective, node, self.variables)
        include = get_directive_values(GraphQLIncludeDirective, node, self.variables)
        return not (skip and skip["if"]) and not (include and not include["if"])


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
