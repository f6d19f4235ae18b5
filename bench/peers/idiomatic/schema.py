"""The query root, and the schema."""

import strawberry
from strawberry.extensions import ParserCache, ValidationCache

from bench.peers.idiomatic.accounts import Client, Invoice
from bench.peers.idiomatic.context import Context, Info
from bench.peers.idiomatic.pages import Node
from bench.peers.idiomatic.practice import Practice
from models import Scope

REMEMBERED = 100


@strawberry.type
class Query:
    @strawberry.field
    async def client(self, info: Info, id: strawberry.ID | None = None) -> Client | None:
        """Return the client; without an id, the token's own, which is known to exist."""
        info.context.viewer.needs(Scope.BILLING_READ)
        own = info.context.viewer.client_id
        row_id = own if id is None else id.removeprefix("cli_")
        return None if row_id is None else await in_sight(row_id, info.context)

    @strawberry.field
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:
        info.context.viewer.needs(Scope.BILLING_READ)
        kind, _, row_id = id.partition("_")
        if kind == "cli":
            return await in_sight(row_id, info.context)
        if kind != "inv":
            return None
        row = await info.context.loaders.invoices.load(row_id)
        return None if row is None else Invoice.of(row, info.context)

    @strawberry.field
    def practice(self, info: Info) -> Practice:
        return Practice(id=strawberry.ID(f"pra_{info.context.viewer.practice_id}"))


async def in_sight(row_id: str, context: Context) -> Client | None:
    if row_id == context.viewer.client_id:
        return Client.of(row_id)
    found = await context.loaders.clients.load(row_id)
    return None if found is None else Client.of(row_id)


schema = strawberry.Schema(
    Query,
    types=[Client, Invoice, Practice],
    extensions=[lambda: ParserCache(REMEMBERED), lambda: ValidationCache(REMEMBERED)],
)
