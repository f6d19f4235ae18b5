"""Documents in the `.graphql` files of a folder, as front ends keep them.

A file may hold several operations, and use the fragments of any other. A document for a manifest is
one operation with the fragments that it uses, as graphql-js prints it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphql import (
    DefinitionNode,
    DocumentNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    Source,
    Visitor,
    parse,
    print_ast,
    visit,
)

from execution.document_check import CheckedOperation, InvalidDocument, checked_operation, parsed
from execution.trusted_documents import HASH_PREFIX, text_hash


@dataclass(frozen=True, order=True)
class Fault:
    """A fault of a document, at a line of a file."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True)
class FolderOperation:
    """A valid operation of a folder, and its document for a manifest."""

    path: str
    line: int
    text: str
    checked: CheckedOperation

    @property
    def id(self) -> str:
        return HASH_PREFIX + text_hash(self.text)

    def fault(self, message: str) -> Fault:
        return Fault(self.path, self.line, message)


@dataclass(frozen=True)
class Folder:
    """The valid operations of a folder in the order of its files, and the faults of the others."""

    operations: list[FolderOperation]
    faults: list[Fault]


def read_folder(schema: GraphQLSchema, path: Path) -> Folder:
    """Check all `.graphql` files of a folder and of the folders in it."""
    faults: set[Fault] = set()
    definitions = list(definitions_of(path, faults))
    fragments = by_name(definitions, FragmentDefinitionNode, faults)
    named = by_name(definitions, OperationDefinitionNode, faults)
    operations, used = [], set[str]()
    for node in named.values():
        document = self_contained(node, fragments)
        used |= {each.name.value for each in document.definitions[1:]}  # type: ignore[attr-defined]
        text = print_ast(document)
        try:
            checked = checked_operation(schema, document, node)
            # What the parser refuses in the text: its length, and card numbers.
            parsed(text)
        except InvalidDocument as error:
            faults |= {fault_of(each, node) for each in error.errors}
        else:
            operations.append(FolderOperation(*place(node), text, checked))
    for name in fragments.keys() - used:
        faults.add(Fault(*place(fragments[name]), f"no operation uses the fragment {name}"))
    return Folder(operations, sorted(faults))


def definitions_of(path: Path, faults: set[Fault]) -> Iterator[DefinitionNode]:
    """Yield the definitions of all files, in their order."""
    for file in sorted(path.rglob("*.graphql")):
        try:
            source = Source(file.read_text(encoding="utf-8"), str(file))
            yield from parse(source).definitions
        except GraphQLError as error:
            faults.add(fault_of(error, None))
        except UnicodeDecodeError:
            faults.add(Fault(str(file), 1, "it is not UTF-8"))
        except RecursionError:
            faults.add(Fault(str(file), 1, "it is nested too deeply"))
        except OSError as error:
            faults.add(Fault(str(file), 1, f"it can't be read: {error.strerror}"))


def by_name(
    definitions: Iterable[DefinitionNode], kind: type[Any], faults: set[Fault]
) -> dict[str, Any]:
    """Return the definitions of a kind. A name names only one of all files."""
    found: dict[str, Any] = {}
    for node in definitions:
        if not isinstance(node, FragmentDefinitionNode | OperationDefinitionNode):
            faults.add(Fault(*place(node), "this is neither an operation nor a fragment"))
        elif isinstance(node, kind):
            name = node.name.value if node.name else None
            if name is None:
                faults.add(Fault(*place(node), "an operation of a manifest has a name"))
            elif name in found:
                first = ":".join(map(str, place(found[name])))
                faults.add(Fault(*place(node), f"the name {name} is also that of {first}"))
            else:
                found[name] = node
    return found


def self_contained(
    node: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> DocumentNode:
    """Return the document of an operation, with the fragments that it uses by their names."""
    used: dict[str, FragmentDefinitionNode] = {}
    waiting: list[Node] = [node]
    while waiting:
        for name in spread_names(waiting.pop()):
            if name in fragments and name not in used:
                used[name] = fragments[name]
                waiting.append(fragments[name])
    return DocumentNode(definitions=(node, *(used[name] for name in sorted(used))))


def spread_names(node: Node) -> set[str]:
    names: set[str] = set()

    class Spreads(Visitor):
        def enter_fragment_spread(self, spread: FragmentSpreadNode, *_: Any) -> None:
            names.add(spread.name.value)

    visit(node, Spreads())
    return names


def place(node: Node) -> tuple[str, int]:
    """Return the file and the line of a definition."""
    assert node.loc is not None
    return node.loc.source.name, node.loc.source.get_location(node.loc.start).line


def fault_of(error: GraphQLError, node: OperationDefinitionNode | None) -> Fault:
    """Return the fault of an error: where it says, or else at the operation."""
    if error.source and error.locations and error.source.name.endswith(".graphql"):
        return Fault(error.source.name, error.locations[0].line, error.message)
    assert node is not None
    return Fault(*place(node), error.message)
