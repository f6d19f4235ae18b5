"""Statements that are compiled once in a process are compiled again for each planted fault."""

from collections.abc import Iterator

import pytest

from execution.authentication import token_statements
from resolvers.document_files import document_statements


@pytest.fixture(autouse=True)
def _compiled_anew() -> Iterator[None]:
    for compiled in (token_statements, document_statements):
        compiled.cache_clear()
    yield
    for compiled in (token_statements, document_statements):
        compiled.cache_clear()
