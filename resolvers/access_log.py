"""The audit log of access to a client's data."""

from typing import Any

from models import AccessEntry
from planner.sources import Rows
from resolvers.clients import of_visible_client
from resolvers.visibility import Visibility


def of_client(client: Any, visible: Visibility) -> Rows:
    """Return the audit log of a client, newest first."""
    table = visible(AccessEntry)
    return Rows(table, [of_visible_client(table, client, visible)], (table.c.id,), True, "access")
