"""Media types of requests and responses, by the headers Content-Type and Accept (RFC 9110)."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType

JSON, GRAPHQL_JSON = "application/json", "application/graphql-response+json"
HTML = "text/html"
UTF_8 = ("utf-8", "utf8")

# The length of a header that is parsed, and the length up to which the result is cached.
READ, REMEMBERED = 2_000, 200

RANGE = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
PARAMETER = re.compile(r';\s*([^\s;,="]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;,"]*)')
QUALITY = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})


def parse_media_type(text: str) -> tuple[str, Mapping[str, str]]:
    """Return a media type and its parameters, all in lower case."""
    return remembered_type(text) if len(text) <= REMEMBERED else split_media_type(text)


def split_media_type(text: str) -> tuple[str, Mapping[str, str]]:
    name, semicolon, _ = text.partition(";")
    if not semicolon:
        return name.strip().lower(), NO_PARAMETERS
    found = PARAMETER.findall(text[len(name) :])
    return name.strip().lower(), {
        key.lower(): value.strip('"').lower() for key, value in reversed(found)
    }


remembered_type = lru_cache(1_000)(split_media_type)


def is_utf_8(parameters: Mapping[str, str]) -> bool:
    """Return whether text with these parameters is UTF-8, which is the default of JSON."""
    return parameters.get("charset", UTF_8[0]) in UTF_8


def response_type(accept: str | None) -> str | None:
    """Return the media type of a GraphQL response, or None if the client accepts neither.

    If a client accepts both types equally, the newer one is chosen if the client names it. It is
    also chosen without a header, as GraphQL over HTTP requires.
    """
    if accept is None:
        return GRAPHQL_JSON
    return remembered(accept) if len(accept) <= REMEMBERED else preferred_type(accept)


def preferred_type(accept: str) -> str | None:
    ranges = dict(media_ranges(accept))
    if not ranges:
        return GRAPHQL_JSON
    older, newer = quality(ranges, JSON), quality(ranges, GRAPHQL_JSON)
    if not older and not newer:
        return None
    is_newer = newer > older or (newer == older and GRAPHQL_JSON in ranges)
    return GRAPHQL_JSON if is_newer else JSON


remembered = lru_cache(1_000)(preferred_type)


def asks_for_html(accept: str | None) -> bool:
    """Return whether a client accepts HTML by name, as browsers do."""
    return accept is not None and dict(media_ranges(accept)).get(HTML, 0) > 0


def media_ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Yield the ranges of an Accept header, each with its quality."""
    for part in RANGE.findall(accept[:READ]):
        name, parameters = parse_media_type(part)
        if name:
            written = parameters.get("q", "1")
            yield name, float(written) if QUALITY.fullmatch(written) else 1


def quality(ranges: Mapping[str, float], name: str) -> float:
    """Return the quality of a media type, by the most specific range that contains it."""
    for range_ in (name, f"{name.partition('/')[0]}/*", "*/*"):
        if range_ in ranges:
            return ranges[range_]
    return 0
