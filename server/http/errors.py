"""Errors of requests that are refused before GraphQL runs, and the responses to them."""

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from billing.practices import PracticeMisconfigured
from execution.bounded_queue import QueueFull
from execution.read_audit import Unwritten
from models.database import RateLimited, StatementTimeout, TransientError
from models.lasting_errors import LastingErrors
from models.request_facts import note_code, request_id
from server.http import bodies, media_types
from server.http.bodies import BodyRefused
from server.http.disconnects import Disconnected
from server.http.media_types import JSON

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

    def status_for(self, type_: str) -> int:
        """Return the status of a response of a media type."""
        return self.status


class RequestError(HTTPError):
    """A request that GraphQL refuses: 400, or 200 with the older media type."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(400, code, message)

    def status_for(self, type_: str) -> int:
        return 200 if type_ == JSON else self.status


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


def accepted_type(request: Request) -> str | None:
    """Return the media type of the response that the client accepts."""
    accepted = [value for name, value in request.scope["headers"] if name == b"accept"]
    return media_types.response_type(b",".join(accepted).decode("latin-1") if accepted else None)


def refusal_response(request: Request, away: HTTPError) -> Response:
    note_code(away.code)
    error: dict[str, Any] = {"message": str(away), "extensions": away.extensions}
    type_ = accepted_type(request) or JSON
    return Response(
        orjson.dumps({"errors": [error]}),
        away.status_for(type_),
        HEADERS | dict(away.headers),
        media_type=f"{type_}; charset=utf-8",
    )
