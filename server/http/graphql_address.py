"""The address /graphql: POST for all operations, GET for queries, and GraphiQL for browsers."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from server.http import graphiql
from server.http.errors import HTTPError, refusal_response
from server.http.graphiql import PageConfig
from server.http.graphql import Endpoint
from server.http.origins import METHODS, asks_for_page

GRAPHQL_PATHS = ("/graphql", "/graphql/")


class GraphQLAddress:
    """Middleware that answers /graphql ahead of Starlette's routing, and passes on the rest."""

    def __init__(self, app: ASGIApp, endpoint: Endpoint, page: PageConfig | None) -> None:
        self.app, self.endpoint, self.page = app, endpoint, page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in GRAPHQL_PATHS:
            await self.app(scope, receive, send)
            return
        response = await self.answer(Request(scope, receive))
        await response(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        if asks_for_page(request.scope):
            return graphiql.page(self.page)
        if request.method in METHODS:
            return await self.endpoint(request)
        refused = HTTPError(405, "METHOD_NOT_ALLOWED", "ask by POST or GET", {"Allow": "GET, POST"})
        return refusal_response(request, refused)
