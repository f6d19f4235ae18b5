"""Documents as they are parsed: what they keep in memory, and where their errors are."""

import gc

import pytest
from graphql import DocumentNode, Token

from planner.operation import parse_document

VALID, NOT_CLOSED = "query Q { client { id name } }", "{ client {"
LONG = [pytest.param(text, marks=pytest.mark.rest) for text in ("{ a " * 3_000, "{ a }" * 2_000)]


@pytest.mark.parametrize("query", [VALID, NOT_CLOSED, *LONG])
def test_document_is_freed_without_a_collection(query: str) -> None:
    # What is there before is no matter, and takes seconds to examine.
    gc.freeze()
    gc.disable()
    try:
        parse_document(query)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_document_keeps_no_tokens() -> None:
    before = tokens()
    document = parse_document(VALID)
    assert tokens() == before
    assert isinstance(document, DocumentNode)
    assert str(document.loc) == "0:30"


def test_error_has_its_location() -> None:
    errors = parse_document("{\n  client {")
    assert not isinstance(errors, DocumentNode)
    (error,) = errors
    assert [tuple(place) for place in error.locations or ()] == [(2, 11)]


def tokens() -> int:
    return sum(isinstance(each, Token) for each in gc.get_objects())
