"""Snapshots of the plan trees of the written operations: one file for each folder of queries."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from graphql import DocumentNode, OperationDefinitionNode
from graphql.execution.values import VariableValues

from execution.executor import plan_tree
from graph.schema import schema
from planner.operation import Operation, coerce_variables, parse_document, validate_operation
from planner.tree_text import tree_text
from tests.support.demo_server import PROJECT

SCHEMA = schema()
SNAPSHOTS = PROJECT / "tests" / "planner" / "trees"
FOLDERS: Mapping[str, Path] = {
    "documented.txt": PROJECT / "web" / "queries",
    "portal-page.txt": PROJECT / "web" / "portal" / "queries",
}
# The kind of the id that a page's query reads, by the query's name.
KINDS = {
    "Document": "inv",
    "Invoice": "inv",
    "PayInvoiceForm": "inv",
    "Receipt": "rct",
    "Statement": "stm",
    "Superbill": "sbl",
}
NO_ID = "00000000-0000-4000-8000-000000000000"


def snapshot(folder: Path) -> str:
    """Return the trees of a folder's documents as text."""
    return "\n".join(text for path in sorted(folder.glob("*.graphql")) for text in trees(path))


def trees(path: Path) -> Iterator[str]:
    document = parse_document(path.read_text())
    assert isinstance(document, DocumentNode)
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            yield f"# {path.name}\n{tree(document, node)}\n"


def tree(document: DocumentNode, node: OperationDefinitionNode) -> str:
    """Return the tree of an operation as text, with a value for each variable of a query."""
    operation = validate_operation(SCHEMA._schema, document, node)
    assert isinstance(operation, Operation)
    values = coerce_variables(SCHEMA._schema, operation, variables(operation))
    if node.operation.value == "mutation":
        # The arguments of a mutation's fields are not part of its tree.
        values = VariableValues({}, {})
    assert isinstance(values, VariableValues)
    return tree_text(plan_tree(SCHEMA, operation, values))


def variables(operation: Operation) -> dict[str, Any]:
    """Return a value for each variable. A tree only has the variables' names."""
    name = operation.node.name.value if operation.node.name else ""
    possible = {
        "after": "0a",
        "client": f"cli_{NO_ID}",
        "id": f"{KINDS.get(name, 'cli')}_{NO_ID}",
        "range": {"gte": "2026-01-01", "lte": "2026-12-31"},
        "size": 3,
    }
    return {name: possible[name] for name in operation.types if name in possible}


if __name__ == "__main__":
    for name, folder in FOLDERS.items():
        (SNAPSHOTS / name).write_text(snapshot(folder))
