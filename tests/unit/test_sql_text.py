"""Values written as text by each database, compared with Python's own."""

import datetime as dt
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Boolean, Text, literal, select
from sqlalchemy.ext.asyncio import AsyncEngine

from models.database import engine
from models.row import Instant
from planner.sql_text import exact_decimal, hexadecimal, json_bool, json_string, rfc3339

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]

# The largest amount in minor units that a column holds, on both databases.
LARGEST = 2**53 - 1
FIRST = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)
LAST = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))

tried_often = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
async def database(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    async with new_database() as url:
        opened = engine(url)
        yield opened
        await opened.dispose()


async def written(database: AsyncEngine, write: Any, type_: Any, values: Sequence[Any]) -> Any:
    """Return each value's text, of a column and of an expression."""
    columns = [select(literal(value, type_).label("value")).subquery() for value in values]
    texts = [select(write(each.c.value)).scalar_subquery() for each in columns]
    bare = [write(literal(value, type_)) for value in values]
    async with database.connect() as conn:
        found = list((await conn.execute(select(*texts, *bare))).one())
    assert found[: len(values)] == found[len(values) :]
    return found[: len(values)]


@tried_often
@example(minor=[-50, -1, 0, 1, 5, 99, 100, -100, 1000, LARGEST, -LARGEST], digits=2)
@given(
    minor=st.lists(st.integers(-LARGEST, LARGEST), min_size=1, max_size=20),
    digits=st.sampled_from([0, 2, 3]),
)
async def test_money_is_exact(database: AsyncEngine, minor: list[int], digits: int) -> None:
    texts = await written(database, lambda value: exact_decimal(value, digits), BigInteger, minor)
    assert texts == [f"{Decimal(each).scaleb(-digits):.{digits}f}" for each in minor]


@tried_often
@example(texts=["", '"', "\\", "\x01\x1f\x7f", "\u2028", "é", "\U0001f0cf", "</script>", "'"])
@given(texts=st.lists(TEXTS, min_size=1, max_size=10))
async def test_string_is_written_as_json(database: AsyncEngine, texts: list[str]) -> None:
    found = await written(database, json_string, Text, texts)
    assert [json.loads(each) for each in found] == texts
    # The marker for null violations occurs in no string's text.
    assert not any("\x01" in each for each in found)


@tried_often
@given(texts=st.lists(TEXTS, min_size=1, max_size=10))
async def test_cursor_is_hexadecimal(database: AsyncEngine, texts: list[str]) -> None:
    found = await written(database, hexadecimal, Text, texts)
    assert found == [each.encode().hex() for each in texts]


@tried_often
@given(
    moments=st.lists(
        st.floats(FIRST.timestamp(), LAST.timestamp()).map(
            lambda seconds: dt.datetime.fromtimestamp(seconds, dt.UTC)
        ),
        min_size=1,
        max_size=10,
    )
)
async def test_instant_is_in_seconds_and_utc(
    database: AsyncEngine, moments: list[dt.datetime]
) -> None:
    found = await written(database, rfc3339, Instant, moments)
    assert found == [f"{each:%Y-%m-%dT%H:%M:%SZ}" for each in moments]


async def test_boolean_is_a_word_and_null_stays_null(database: AsyncEngine) -> None:
    assert await written(database, json_bool, Boolean, [True, False]) == ["true", "false"]
    assert await written(database, json_bool, Boolean, [None]) == [None]
    assert await written(database, json_string, Text, [None]) == [None]
    assert await written(database, lambda value: exact_decimal(value, 2), BigInteger, [None]) == [
        None
    ]
