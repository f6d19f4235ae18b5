"""GraphQL requests as HTTP carries them: the JSON body of a POST, and the query string of a GET."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request

from execution import pipeline
from execution.pipeline import Reading
from execution.trusted_documents import TrustedDocuments
from server.http import media_types
from server.http.document_ids import document_text, requested_id
from server.http.errors import HTTPError, accepted_type, bad, unsupported
from server.http.headers import request_header
from server.http.media_types import GRAPHQL_JSON, JSON

REQUEST_FIELDS = ("query", "documentId", "operationName", "variables", "extensions")
# The fields that are JSON in a query string.
JSON_FIELDS = ("variables", "extensions")


def check_content_type(request: Request) -> None:
    """Refuse a request if its body is not JSON in UTF-8."""
    content_type = request_header(request.scope, b"content-type") or ""
    type_, parameters = media_types.parse_media_type(content_type)
    if type_ != JSON:
        raise unsupported("send Content-Type: application/json")
    if not media_types.is_utf_8(parameters):
        raise unsupported("JSON is UTF-8")


def required_type(request: Request) -> str:
    """Return the media type of the response. Refuse a request that accepts no available one."""
    accepted = accepted_type(request)
    if accepted is None:
        raise HTTPError(406, "NOT_ACCEPTABLE", f"answers are {GRAPHQL_JSON} or {JSON}")
    return accepted


def parse_body(content: bytes, reading: Reading, documents: TrustedDocuments) -> pipeline.Request:
    """Return the GraphQL request in a JSON body. `reading` is the context of a query."""
    try:
        fields = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise bad("the body is not JSON in UTF-8, or nested too deeply") from None
    if not isinstance(fields, dict):
        raise bad("the body is a JSON object with query, variables and operationName")
    return request_of(fields, content, reading, documents)


def parse_query_string(
    content: bytes, reading: Reading, documents: TrustedDocuments
) -> pipeline.Request:
    """Return the query in the query string of a URL, which may make no change.

    Other parameters are ignored, as other fields of a body are.
    """
    try:
        pairs = parse_qsl(content.decode(), keep_blank_values=True, errors="strict")
    except ValueError:
        raise bad("the query string is not UTF-8") from None
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields and name in REQUEST_FIELDS:
            raise bad(f"{name} is given twice")
        fields[name] = object_of(name, value) if name in JSON_FIELDS else value
    request = request_of(fields, content, reading, documents)
    request.may_change = False
    return request


def object_of(name: str, value: str) -> Any:
    """Return a parameter that is JSON; None if it is empty."""
    try:
        return orjson.loads(value) if value else None
    except orjson.JSONDecodeError:
        raise bad(f"{name} is not JSON") from None


def request_of(
    fields: Mapping[str, Any], content: bytes, reading: Reading, documents: TrustedDocuments
) -> pipeline.Request:
    """Return the GraphQL request with these fields."""
    query, id_, name, variables, extensions = (fields.get(field) for field in REQUEST_FIELDS)
    query = document_text(query, requested_id(id_, extensions), documents)
    if name is not None and not isinstance(name, str):
        raise bad("operationName is a string, null or left out")
    if variables is not None and not isinstance(variables, dict):
        raise bad("variables is an object, null or left out")
    # Extensions of other kinds are ignored, as unknown ones are.
    wants_cost = isinstance(extensions, dict) and extensions.get("cost") is True
    return pipeline.Request(
        query, name or None, variables or {}, content, reading, wants_cost=wants_cost
    )
