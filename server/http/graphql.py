"""GraphQL over HTTP: the endpoint that reads a request, knows its sender, and has it answered."""

import datetime as dt
from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from billing.security_events import TOKEN_REFUSED
from execution import pipeline
from execution.anonymous import Unauthenticated
from execution.authentication import Authenticator, ViewerChanged
from execution.pipeline import ChangeRefused, GraphQLService
from execution.request_viewer import RequestViewer, TokenViewer, UnknownToken
from execution.trusted_documents import NO_DOCUMENTS, TrustedDocuments
from identity.viewer import Viewer
from models.request_facts import note_code
from planner.fallback_executor import Answer
from server.http import bodies
from server.http.bodies import MAX_BODY, STRANGERS_BODY, BodyRefused, LargeBodies, RequestBody
from server.http.disconnects import CancelledOnDisconnect
from server.http.entity_tags import entity_tag, is_known, not_modified
from server.http.errors import HTTPError, answer_or_error, body_error, unauthenticated_error
from server.http.graphql_requests import (
    check_content_type,
    parse_body,
    parse_query_string,
    required_type,
)
from server.http.graphql_responses import GraphQLResponse, is_compressed
from server.http.headers import request_header


class Endpoint:
    """The endpoint of /graphql. `now` is the clock, in UTC."""

    def __init__(
        self,
        service: GraphQLService,
        authenticator: Authenticator,
        now: Callable[[], dt.datetime],
        address_hash: Callable[[str], str] = str,
        documents: TrustedDocuments = NO_DOCUMENTS,
    ) -> None:
        self.service, self.authenticator, self.now = service, authenticator, now
        self.address_hash, self.documents = address_hash, documents
        self.large_bodies = LargeBodies()

    def __call__(self, request: Request) -> Awaitable[Response]:
        return answer_or_error(request, self.answer)

    async def answer(self, request: Request) -> Response:
        type_ = required_type(request)
        reading = partial(CancelledOnDisconnect, request.receive)
        if request.method == "GET":
            sender = await self.sender(request, self.now())
            graphql_request = parse_query_string(
                request.scope["query_string"], reading, self.documents
            )
        else:
            check_content_type(request)
            content, sender = await self.receive_body(request)
            graphql_request = parse_body(content, reading, self.documents)
        answer = await self.answer_of_service(request, graphql_request, sender)
        if not answer.has_data:
            # The older media type has the status 200 for it.
            note_code(str((answer.errors[0].extensions or {}).get("code", "REFUSED")))
        response = GraphQLResponse(answer, type_)
        if tag := entity_tag(answer, request):
            response.raw_headers.append((b"etag", tag.encode()))
            if is_known(tag, request):
                return not_modified(response)
        if is_compressed(answer, request):
            await response.compress(answer.body)
        return response

    async def answer_of_service(
        self,
        request: Request,
        graphql_request: pipeline.Request,
        sender: RequestViewer | None,
    ) -> Answer:
        """Return the service's answer, or raise the error for HTTP."""
        try:
            return await self.service.answer(
                graphql_request, sender, self.now(), self.address(request)
            )
        except Unauthenticated:
            raise unauthenticated_error("a token is needed: Authorization: Bearer cbp_…") from None
        except UnknownToken:
            raise self.refused_token(request) from None
        except ChangeRefused:
            raise HTTPError(
                405, "METHOD_NOT_ALLOWED", "send a mutation by POST", {"Allow": "POST"}
            ) from None

    async def receive_body(
        self, request: Request, largest: int = MAX_BODY, large_bodies: LargeBodies | None = None
    ) -> tuple[bytes, RequestViewer | None]:
        """Return the request's body, and the sender at the time the body was complete.

        The token is looked up before more than a small body is read. It is verified once more
        afterwards, since the sender decides how long reading takes.
        """
        try:
            body = RequestBody(request)
            is_small = await body.read(STRANGERS_BODY)
            if not is_small:
                viewer = await self.viewer(request, self.now())
                if viewer is None:
                    raise bodies.TooLarge(STRANGERS_BODY)
                with (large_bodies or self.large_bodies).room(viewer.token_id, body, largest):
                    if not await body.read(largest):
                        raise bodies.TooLarge(largest)
            sender = await self.sender(request, self.now())
            return body.decoded(largest if sender else STRANGERS_BODY), sender
        except BodyRefused as reason:
            raise body_error(reason) from None

    def address(self, request: Request) -> str | None:
        """Return a hash that distinguishes the request's network address."""
        return self.address_hash(request.client.host) if request.client else None

    async def viewer(self, request: Request, now: dt.datetime) -> Viewer | None:
        """Return the verified bearer of the request's token, or None without a token."""
        return await self.verified(request, await self.sender(request, now))

    async def verified(self, request: Request, sender: RequestViewer | None) -> Viewer | None:
        """Return the viewer of a sender for whom nothing was prepared, after a look-up."""
        if sender is None:
            return None
        try:
            await sender.verify()
        except ViewerChanged:
            pass
        except UnknownToken:
            raise self.refused_token(request) from None
        return sender.viewer

    async def sender(self, request: Request, now: dt.datetime) -> RequestViewer | None:
        """Return the last known bearer of the request's token, or None without a token."""
        credentials = request_header(request.scope, b"authorization")
        if credentials is None:
            return None
        scheme, _, token = credentials.partition(" ")
        if scheme.lower() != "bearer":
            raise self.refused_token(request)
        try:
            return await TokenViewer.of(self.authenticator, token.strip(), now)
        except UnknownToken:
            raise self.refused_token(request) from None

    def refused_token(self, request: Request) -> HTTPError:
        """Report a token that is not valid, and return the error for it."""
        TOKEN_REFUSED.emit(address=self.address(request))
        return unauthenticated_error("the token is unknown, expired or revoked", invalid=True)
