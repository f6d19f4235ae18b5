"""The commands `portal documents`: the report on a folder's operations, and their manifest."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import strawberry
from sqlalchemy.dialects.postgresql import asyncpg

from execution.document_check import CheckedOperation, InvalidDocument, checked_operations
from execution.executor import compile_operation, visibility_of
from execution.prepare_ahead import VIEWERS
from execution.sample_variables import sample_variables
from graph.schema import schema
from models import Scope
from server.cli.document_folder import Fault, Folder, FolderOperation, read_folder
from server.command_errors import CommandError
from server.document_manifest import ManifestEntry, manifest_text, read_manifest


class FaultyDocuments(CommandError):
    """Documents with faults. The text has a line for each fault."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))


class DocumentReport:
    """The operations of a folder, their costs, scopes and statements."""

    def __init__(self, path: Path) -> None:
        self.schema = schema()
        self.folder: Folder = read_folder(self.schema._schema, path)
        if not self.folder.operations and not self.folder.faults:
            raise CommandError(f"{path} has no operation in a file *.graphql.")

    def lines(self, *, with_statement: bool) -> Iterator[str]:
        """Yield the lines about each valid operation."""
        for operation in self.folder.operations:
            checked = operation.checked
            yield f"{checked.type} {checked.name}  {operation.path}:{operation.line}"
            yield f"  cost       {cost_text(checked)}"
            yield f"  scopes     {scopes_text(checked)}"
            sql = client_statement(self.schema, checked)
            yield f"  statement  {statement_text(sql)}"
            if with_statement and sql:
                yield f"\n{sql}\n"

    def faults(self, max_cost: int | None, baseline: Path | None) -> list[Fault]:
        """Return the faults of the documents, and the costs above a limit or a manifest's."""
        recorded = self.recorded_costs(baseline) if baseline else {}
        faults = list(self.folder.faults)
        for operation in self.folder.operations:
            cost, name = operation.checked.most_cost, operation.checked.name
            if max_cost is not None and cost > max_cost:
                faults.append(operation.fault(f"{name} costs {cost:,}, more than {max_cost:,}"))
            before = recorded.get(name)
            if before is not None and cost > before:
                text = f"{name} costs {cost:,}, and {before:,} in {baseline}"
                faults.append(operation.fault(text))
        return sorted(faults)

    def recorded_costs(self, baseline: Path) -> dict[str | None, int]:
        """Return the costs of a manifest's operations by their names.

        A cost that the manifest does not tell is that of the old text now.
        """
        costs: dict[str | None, int] = {}
        for entry in read_manifest(baseline):
            if entry.name is not None and entry.cost is not None:
                costs[entry.name] = entry.cost
                continue
            try:
                checked = list(checked_operations(self.schema._schema, entry.text))
            except InvalidDocument:
                continue
            costs |= {operation.name: operation.most_cost for operation in checked}
        return costs

    def manifest(self) -> str:
        """Return the manifest. Raise FaultyDocuments if a document has a fault."""
        if self.folder.faults:
            raise FaultyDocuments(self.folder.faults)
        return manifest_text(map(manifest_entry, self.folder.operations))


def manifest_entry(operation: FolderOperation) -> ManifestEntry:
    checked = operation.checked
    return ManifestEntry(
        operation.id, operation.text, checked.name, checked.type, checked.most_cost
    )


def cost_text(checked: CheckedOperation) -> str:
    if not checked.page_sizes:
        return f"{checked.cost:,}"
    names = ", ".join(f"${name}" for name in sorted(checked.page_sizes))
    return f"{checked.cost:,}, and up to {checked.most_cost:,} by {names}"


def scopes_text(checked: CheckedOperation) -> str:
    """Return the scopes that each request needs, and those that its arguments may add."""
    needed = checked.prepared.needed
    always = set[Scope]().union(*needed.fields.values())
    more = needed.most - always
    text = " ".join(scope.written for scope in Scope if scope in always) or "none"
    added = " ".join(scope.written for scope in Scope if scope in more)
    return f"{text}, and by its arguments up to {added}" if added else text


def client_statement(portal_schema: strawberry.Schema, checked: CheckedOperation) -> str | None:
    """Return the statement of a query with all variables, for a client on PostgreSQL."""
    prepared = checked.prepared
    if prepared.is_mutation:
        return None
    dialect = asyncpg.dialect()  # type: ignore[no-untyped-call]
    visible = visibility_of(VIEWERS[0], dialect)
    for variables in sample_variables(portal_schema._schema, prepared, 1):
        plan = compile_operation(portal_schema, prepared.operation, variables, visible, dialect)
        return plan.sql if plan else None
    return None


def statement_text(sql: str | None) -> str:
    if sql is None:
        return "made for each request"
    return f"{len(sql):,} characters with {sql.count('SELECT'):,} SELECTs"
