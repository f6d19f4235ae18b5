"""Where a query begins: who asks, a client, the practice."""

import datetime as dt
from typing import Annotated

import strawberry

from graph.client import Client
from graph.practice import Practice, practice
from models import Scope, ViewerKind
from resolvers import clients, viewers
from resolvers.planner.jsontext import instant
from resolvers.planner.sources import Many, One, Value, field, planned


@strawberry.type(description="Who asks: the bearer of the token.")
class Viewer:
    kind: ViewerKind = field(Value(lambda viewer: viewer.kind), description="What kind of viewer.")
    name: str = field(
        Value(lambda viewer: viewer.name), description="The person's name, or the dashboard's."
    )
    email: str | None = field(
        Value(lambda viewer: viewer.email), description="The person's e-mail address, if known."
    )
    scopes: list[Scope] = field(
        Value(lambda viewer: viewer.scopes), description="What the token may read."
    )
    expires_at: dt.datetime | None = field(
        Value(lambda viewer: instant(viewer.expires_at)),
        description="When the token stops working.",
    )
    clients: list[Client] = field(
        Many(clients.viewers_clients),
        description="The clients whose billing this viewer looks after; a guardian may have"
        " several. Empty for a dashboard.",
    )


@strawberry.type(description="Reading. Each operation is one statement to the database.")
class Query:
    viewer: Viewer = field(One(viewers.viewer), description="Who asks.")
    practice: Practice = practice

    @planned(
        One(clients.client),
        description="A client in sight; null where it isn't. One who sees a single client may leave"
        " the id out; one who sees several is refused without it (CLIENT_REQUIRED).",
    )
    def client(
        self,
        id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Which client: `cli_…`.")
        ] = None,
    ) -> Client | None:
        raise AssertionError("its source answers")
