"""GraphQL over HTTP: POST /graphql, and the requests that are refused before GraphQL runs."""

import datetime as dt
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from billing.practices import PracticeMisconfigured
from billing.security_events import TOKEN_REFUSED
from execution import pipeline
from execution.anonymous import Unauthenticated
from execution.authentication import Authenticator, ViewerChanged
from execution.bounded_queue import QueueFull
from execution.pipeline import GraphQLService, Reading
from execution.read_audit import Unwritten
from execution.request_viewer import RequestViewer, TokenViewer, UnknownToken
from identity.viewer import Viewer
from models.database import RateLimited, StatementTimeout, TransientError
from models.lasting_errors import LastingErrors
from models.request_facts import note_code, request_id
from planner.fallback_executor import Answer
from server.http import bodies, media_types
from server.http.bodies import MAX_BODY, STRANGERS_BODY, BodyRefused, LargeBodies, RequestBody
from server.http.disconnects import CancelledOnDisconnect, Disconnected
from server.http.headers import header
from server.http.media_types import GRAPHQL_JSON, JSON

# Responses contain health and financial data, so no cache may store them.
HEADERS = {"Cache-Control": "no-store", "Vary": "Accept"}

RETRY_AFTER_S = "5"
# The status for proxies' logs. No client receives it.
CLIENT_CLOSED = 499

log = logging.getLogger("portal")
MISCONFIGURED = LastingErrors()


class HTTPError(Exception):
    """A request that is refused before GraphQL runs."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers or {}
        self.extensions = {"code": code, **(extensions or {})}


class Endpoint:
    """The endpoint of POST /graphql. `now` is the clock, in UTC."""

    def __init__(
        self,
        service: GraphQLService,
        authenticator: Authenticator,
        now: Callable[[], dt.datetime],
        address_hash: Callable[[str], str] = str,
    ) -> None:
        self.service, self.authenticator, self.now = service, authenticator, now
        self.address_hash = address_hash
        self.large_bodies = LargeBodies()

    async def __call__(self, request: Request) -> Response:
        return await answer_or_error(request, self.answer)

    async def answer(self, request: Request) -> Response:
        type_ = check_media_types(request)
        content, sender = await self.receive_body(request)
        reading = partial(CancelledOnDisconnect, request.receive)
        graphql_request, now = parse_body(content, reading), self.now()
        try:
            answer = await self.service.answer(graphql_request, sender, now, self.address(request))
        except Unauthenticated:
            raise unauthenticated_error("a token is needed: Authorization: Bearer cbp_…") from None
        except UnknownToken:
            raise self.refused_token(request) from None
        if not answer.has_data:
            # The older media type has the status 200 for it.
            note_code(str((answer.errors[0].extensions or {}).get("code", "REFUSED")))
        return GraphQLResponse(answer, type_)

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
        credentials = header(request.scope, b"authorization")
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


async def answer_or_error(
    request: Request, answer: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Return the response of `answer`, or an error response."""
    try:
        return await answer(request)
    except HTTPError as away:
        return refusal_response(request, away)
    except Disconnected:
        return Response(status_code=CLIENT_CLOSED)
    except Exception as error:
        return refusal_response(request, error_for_client(error))


def error_for_client(error: Exception) -> HTTPError:
    """Return the error for the client, without internal details."""
    if isinstance(error, RateLimited):
        waits = {"Retry-After": str(error.retry_after_s)}
        return HTTPError(429, "RATE_LIMITED", str(error), waits, {"cost": error.cost})
    if isinstance(error, StatementTimeout):
        return HTTPError(503, "TIMEOUT", "the database took too long: request less at a time")
    if isinstance(error, TransientError | Unwritten):
        log.warning("a request was not answered: %s", error)
        away = "the server cannot answer now: send the same again in a moment"
        return HTTPError(503, "UNAVAILABLE", away, {"Retry-After": RETRY_AFTER_S})
    if isinstance(error, PracticeMisconfigured):
        return misconfigured(error)
    if isinstance(error, QueueFull):
        away = "too many requests without a known token at the moment: send the same again"
        return HTTPError(503, "UNAVAILABLE", away, {"Retry-After": RETRY_AFTER_S})
    return internal()


def misconfigured(error: PracticeMisconfigured) -> HTTPError:
    """Log the practice and its value once, and return an error that points to the operator."""
    if MISCONFIGURED.is_new(str(error)):
        log.error("alert: %s", error)
    away = "a setting of this practice is wrong: its operator has to correct it"
    return HTTPError(503, "PRACTICE_MISCONFIGURED", away)


# -- requests --------------------------------------------------------------------------------------


def check_media_types(request: Request) -> str:
    """Return the media type of the response.

    Refuse a request if its body is not JSON in UTF-8, or if it accepts no available media type.
    """
    content_type = header(request.scope, b"content-type") or ""
    type_, parameters = media_types.parse_media_type(content_type)
    if type_ != JSON:
        raise unsupported("send Content-Type: application/json")
    if not media_types.is_utf_8(parameters):
        raise unsupported("JSON is UTF-8")
    accepted = accepted_type(request)
    if accepted is None:
        raise HTTPError(406, "NOT_ACCEPTABLE", f"answers are {GRAPHQL_JSON} or {JSON}")
    return accepted


def body_error(reason: BodyRefused) -> HTTPError:
    """Return the error for a refused body."""
    match reason:
        case bodies.TooLarge():
            return HTTPError(413, "TOO_LARGE", str(reason))
        case bodies.NoMemoryLeft():
            return HTTPError(503, "UNAVAILABLE", str(reason), {"Retry-After": RETRY_AFTER_S})
        case bodies.UnknownCoding():
            return unsupported(str(reason), {"Accept-Encoding": "gzip"})
    return bad(str(reason))


def unsupported(message: str, headers: Mapping[str, str] | None = None) -> HTTPError:
    return HTTPError(415, "UNSUPPORTED_MEDIA_TYPE", message, headers)


def parse_body(content: bytes, reading: Reading) -> pipeline.Request:
    """Return the GraphQL request in a JSON body. `reading` is the context of a query."""
    try:
        asked = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise bad("the body is not JSON in UTF-8, or nested too deeply") from None
    if not isinstance(asked, dict):
        raise bad("the body is a JSON object with query, variables and operationName")
    query, name, variables = (asked.get(k) for k in ("query", "operationName", "variables"))
    if not isinstance(query, str):
        raise bad("query is the text of a GraphQL document")
    if name is not None and not isinstance(name, str):
        raise bad("operationName is a string, null or left out")
    if variables is not None and not isinstance(variables, dict):
        raise bad("variables is an object, null or left out")
    return pipeline.Request(query, name or None, variables or {}, content, reading)


def bad(message: str) -> HTTPError:
    return HTTPError(400, "BAD_REQUEST", message)


def unauthenticated_error(message: str, *, invalid: bool = False) -> HTTPError:
    """Return the error for a missing or invalid token. By RFC 6750 only the latter has an error
    code.
    """
    challenge = 'Bearer realm="portal"' + (', error="invalid_token"' if invalid else "")
    return HTTPError(401, "UNAUTHENTICATED", message, {"WWW-Authenticate": challenge})


def internal() -> HTTPError:
    """Log an internal error, and return an error with the request's id only."""
    id_ = log_internal_error()
    away = f"something went wrong; the log has it under the id {id_}"
    return HTTPError(500, "INTERNAL", away, extensions={"requestId": id_})


def log_internal_error() -> str:
    """Log an internal error, and return the id that its line has: the request's, if any."""
    id_ = request_id() or uuid.uuid4().hex
    log.exception("internal error %s", id_)
    return id_


# -- responses -------------------------------------------------------------------------------------


def accepted_type(request: Request) -> str | None:
    """Return the media type of the response that the client accepts."""
    accepted = [value for name, value in request.scope["headers"] if name == b"accept"]
    return media_types.response_type(b",".join(accepted).decode("latin-1") if accepted else None)


class GraphQLResponse(Response):
    """A response in one of the two media types. Only the newer one has an error status."""

    def __init__(self, answer: Answer, type_: str) -> None:
        self.status_code = 400 if type_ == GRAPHQL_JSON and not answer.has_data else 200
        self.background, self.body = None, answer.body
        self.raw_headers = [(b"content-length", b"%d" % len(answer.body)), *RAW_HEADERS[type_]]


def raw_headers(type_: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of all responses of a media type."""
    headers = HEADERS | {"Content-Type": f"{type_}; charset=utf-8"}
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


RAW_HEADERS = {type_: raw_headers(type_) for type_ in (JSON, GRAPHQL_JSON)}


def refusal_response(request: Request, away: HTTPError) -> Response:
    note_code(away.code)
    error: dict[str, Any] = {"message": str(away), "extensions": away.extensions}
    return Response(
        orjson.dumps({"errors": [error]}),
        away.status,
        HEADERS | dict(away.headers),
        media_type=f"{accepted_type(request) or JSON}; charset=utf-8",
    )
