"""The audit log of access to a client's data."""

from models import AccessEntry
from planner.sources import Rows
from resolvers.clients import ClientRow, of_visible_client
from resolvers.visibility import Visibility


def of_client(client: ClientRow, visible: Visibility) -> Rows:
    """Return the audit log of a client, newest first."""
    table = visible(AccessEntry)
    return Rows(
        table,
        [of_visible_client(table.c.client_id, client, visible)],
        (table.c.id,),
        True,
        "access",
    )
