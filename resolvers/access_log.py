"""The audit log of access to a client's data."""

from typing import Any

from models import AccessEntry
from planner.sources import Rows
from resolvers.clients import owned
from resolvers.visibility import Sight


def of_client(client: Any, sight: Sight) -> Rows:
    """Return the audit log of a client, newest first."""
    table = sight(AccessEntry)
    return Rows(table, [owned(table, client, sight)], (table.c.id,), True, "access")
