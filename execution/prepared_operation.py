"""A validated operation, with its scopes and its reads of personal data."""

from dataclasses import dataclass

from execution.read_audit import ReadScope
from execution.scopes import RequiredScopes
from execution.selected_fields import SelectedDocument
from planner.operation import Operation


@dataclass(frozen=True)
class PreparedOperation:
    """A valid operation, its selected fields, its scopes, and the personal data that it reads."""

    operation: Operation
    selected: SelectedDocument
    needed: RequiredScopes
    reads: ReadScope | None
    # The kind of operation and its root fields, for logs: words of the schema alone.
    label: str
