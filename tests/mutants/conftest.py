"""Statements that are built or compiled once in a process are made again for each planted fault."""

from collections.abc import Iterator

import pytest

from billing.ledger.allocation import BUILT_ONCE
from execution.authentication import statement_by_hash, token_statements
from resolvers.document_files import document_statements

MADE_ONCE = (token_statements, statement_by_hash, document_statements, *BUILT_ONCE)


@pytest.fixture(autouse=True)
def _made_again() -> Iterator[None]:
    for made in MADE_ONCE:
        made.cache_clear()
    yield
    for made in MADE_ONCE:
        made.cache_clear()
