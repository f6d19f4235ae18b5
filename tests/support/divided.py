"""Tests on tables that are divided by practice, with each statement explained before it runs.

`pytest -p tests.support.divided` divides the tables of every PostgreSQL database of a run. The
plan of each statement says which partitions it scans or changes. One that takes several, of one
table or of two, is a look-up across practices. They are written as JSON to DIVIDED_REPORT.
"""

import inspect
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import greenlet  # type: ignore[import-untyped]
import pytest
from sqlalchemy import Connection, Engine, event

from bench.partitioned import divide, partitions_in, partitions_of
from models.database.prepared import Prepared, Signed
from tests.support import empty_databases, postgres

PROJECT = Path(__file__).parents[2]
OWN = "tests/support/divided.py"
PLANNED = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
# Frames that run a statement for another module.
BELOW = ("models/database/", "models/leases.py", "models/bulk_insert.py", "models/upsert.py")


@dataclass
class Recorder:
    """The statements that were explained, and those that take several partitions, by the function
    that runs them and the tables."""

    explained: set[tuple[str, str]] = field(default_factory=set)
    across: set[tuple[str, str]] = field(default_factory=set)

    def is_new(self, site: str, sql: str) -> bool:
        """Return whether a statement is to be explained."""
        return sql.lstrip().upper().startswith(PLANNED) and (site, sql) not in self.explained

    def judge(self, site: str, sql: str, partitions: Mapping[str, set[int]]) -> None:
        # Only now: a test may have broken the connection amid the explanation.
        self.explained.add((site, sql))
        of_all = set().union(*partitions.values())
        several = {table for table, found in partitions.items() if len(found) > 1}
        if len(of_all) > 1:
            self.across |= {(site, table) for table in several or partitions}

    # -- where statements are run ------------------------------------------------------------------

    def before_execute(
        self, conn: Connection, _: Any, sql: str, given: Any, __: Any, is_many: bool
    ) -> None:
        """Explain a statement of SQLAlchemy, in its own transaction."""
        site = calling_function() if conn.dialect.name == "postgresql" else None
        if site is None or not self.is_new(site, sql):
            return
        values = given[0] if is_many else given
        row = conn.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sql}", values).scalar_one()
        self.judge(site, sql, partitions_in(row))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Explain the statements of every engine, and of planned reads, while the context lasts."""
        run, recorder = Prepared.run, self

        async def explained(
            self: Prepared, sql: str, values: Sequence[Any], practice_id: str
        ) -> Sequence[Any] | None:
            site = calling_function()
            if site is not None and recorder.is_new(site, sql):
                signed = Signed.of(sql, len(values)).sql
                found = await partitions_of(self.connection, signed, [*values, practice_id])
                recorder.judge(site, sql, found)
            return await run(self, sql, values, practice_id)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Prepared, "run", explained)
            event.listen(Engine, "before_cursor_execute", self.before_execute)
            try:
                yield
            finally:
                event.remove(Engine, "before_cursor_execute", self.before_execute)


def calling_function() -> str | None:
    """Return the function of the portal that runs a statement, as `billing.payments.start.begin`;
    None for a test's own."""
    for frame in calling_frames():
        try:
            path = str(Path(frame.f_code.co_filename).relative_to(PROJECT))
        except ValueError:
            continue
        if path.startswith((*BELOW, ".venv/")) or path == OWN:
            continue
        if path.startswith(("tests/", "bench/")):
            return None
        module = path.removesuffix(".py").replace("/", ".")
        return f"{module}.{frame.f_code.co_qualname.split('.<locals>')[0]}"
    return None


def calling_frames() -> Iterator[FrameType]:
    """Yield the frames from here upwards, through the greenlets in which SQLAlchemy runs."""
    frame = inspect.currentframe()
    running: Any = greenlet.getcurrent()
    while frame is not None:
        yield frame
        frame = frame.f_back
        if frame is None and running.parent is not None:
            running = running.parent
            frame = running.gr_frame


async def divide_migrated(url: str) -> None:
    """Divide the tables in a migrated database, if it is of PostgreSQL."""
    if url.startswith("postgresql"):
        await divide(postgres.as_owner(url), postgres.SERVING)


# -- the plugin ------------------------------------------------------------------------------------

RECORDER = pytest.StashKey[Recorder]()


def pytest_configure(config: pytest.Config) -> None:
    migrated = empty_databases.migrated

    async def divided(url: str) -> None:
        await migrated(url)
        await divide_migrated(url)

    empty_databases.migrated = divided
    config.stash[RECORDER] = Recorder()


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    recorder = session.config.stash[RECORDER]
    with recorder.recording():
        ran = yield
    report = {"explained": len(recorder.explained), "across": sorted(recorder.across)}
    Path(os.environ["DIVIDED_REPORT"]).write_text(json.dumps(report))
    return ran
