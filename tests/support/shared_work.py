"""Work that the databases of different tests share, so that the tests take less time.

Each test has engines of its own, and an engine compiles each statement anew: a quarter of the
processor time of tests of payments. SQLAlchemy keeps a compiled statement by its dialect; here the
dialects of one class are equal, and their engines keep compiled statements together. SQLite doesn't
wait for the disk: no test of this process needs a file to survive a power failure. The commands of
`portal` are made once, instead of before each command that a test runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

import pytest
from sqlalchemy import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import LRUCache
from typer import testing
from typer.main import get_command

# `models.database` has a function of this name too.
ENGINES = import_module("models.database.engine")
PRAGMAS = "foreign_keys=ON", "journal_mode=WAL", "synchronous=OFF"
# More than the different statements of all tests.
STATEMENTS = 20_000


@contextmanager
def shared_work() -> Iterator[None]:
    """Have the engines of this process share compiled statements, SQLite not wait for the disk, and
    tests run the same commands.
    """
    compiled: dict[type[Dialect], LRUCache[Any, Any]] = {}

    def create(*args: Any, **options: Any) -> AsyncEngine:
        made = create_async_engine(*args, **options)
        kind = type(made.sync_engine.dialect)
        if kind not in compiled:
            compiled[kind] = LRUCache(STATEMENTS)
            patch.setattr(kind, "__eq__", lambda one, other: type(one) is type(other))
            patch.setattr(kind, "__hash__", lambda one: hash(type(one)))
        made.sync_engine._compiled_cache = compiled[kind]
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ENGINES, "create_async_engine", create)
        patch.setattr(ENGINES, "SQLITE_PRAGMAS", PRAGMAS)
        patch.setattr(testing, "_get_command", cache(get_command))
        yield
