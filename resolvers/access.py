"""Who looked at a client's data, or changed it."""

from typing import Any

from models import AccessEntry
from resolvers.clients import owned
from resolvers.planner.sources import Rows
from resolvers.sight import Sight


def of_client(client: Any, sight: Sight) -> Rows:
    """The record of a client, the newest first."""
    table = sight(AccessEntry)
    return Rows(table, [owned(table, client, sight)], (table.c.id,), True, "access")
