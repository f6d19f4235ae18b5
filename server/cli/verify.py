"""The command `portal verify`: whether the books are as they were written."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.audit_log import record
from billing.ledger.verification import Finding, Verification, unprotected_tables
from models import AccessAction, ChainRoot, Practice, database
from server.cli.operators import operator
from server.clock import utc_now
from server.command_errors import CommandError
from server.settings import Settings


class NoSuchPractice(CommandError):
    """There is no practice with this id."""


class UnreadableRoots(CommandError):
    """The file of known roots can't be read."""


class Verifier:
    """The verification of all practices, or of one. `differs` is set by the first difference."""

    def __init__(
        self, engine: AsyncEngine, practice: str | None, known: Sequence[dict[str, Any]]
    ) -> None:
        self.engine, self.practice, self.known, self.differs = engine, practice, known, False

    async def lines(self) -> AsyncIterator[str]:
        """Yield a line for each difference, and one for each practice without any."""
        for table in await unprotected_tables(self.engine):
            self.differs = True
            yield f"The table {table} is not append-only: its triggers are missing or changed."
        for practice_id in await practices(self.engine, self.practice):
            await record_access(self.engine, practice_id)
            before = self.differs
            self.differs = False
            verification = Verification(self.engine, practice_id)
            async for finding in verification.findings():
                self.differs = True
                yield told(practice_id, finding)
            for line in await self.unknown_roots(practice_id):
                self.differs = True
                yield line
            counts = verification.counts
            if not self.differs:
                yield (
                    f"pra_{practice_id}  {counts.rows:,} rows of {counts.clients:,} clients and"
                    f" {counts.roots:,} daily roots are as they were written."
                )
            self.differs |= before

    async def unknown_roots(self, practice_id: str) -> list[str]:
        """Return a line for each known root that is not in the database."""
        stored = {line["day"]: line["hash"] for line in await root_lines(self.engine, practice_id)}
        return [
            f"pra_{practice_id}  root of {root['day']}  is not the one that was sent out"
            for root in self.known
            if root["practice"] == f"pra_{practice_id}" and stored.get(root["day"]) != root["hash"]
        ]


def told(practice_id: str, finding: Finding) -> str:
    of = f"  cli_{finding.client_id}" if finding.client_id else ""
    return f"pra_{practice_id}{of}  {finding.difference.subject}  {finding.difference.reason}"


async def record_access(engine: AsyncEngine, practice_id: str) -> None:
    by = operator(practice_id, "portal verify")
    async with engine.begin() as conn:
        await record(conn, by, None, utc_now(), AccessAction.READ)


async def practices(engine: AsyncEngine, practice: str | None) -> Sequence[str]:
    """Return the ids of all practices, or of the one that is named."""
    async with engine.connect() as conn:
        found = (await conn.scalars(select(Practice.id).order_by(Practice.id))).all()
    if practice is None:
        return found
    named = [practice_id for practice_id in found if practice == f"pra_{practice_id}"]
    if not named:
        raise NoSuchPractice(f"There is no practice {practice}.")
    return named


async def verify(settings: Settings, practice: str | None, known: Path | None, echo: Any) -> bool:
    """Print the differences, and return whether there are any."""
    async with database.open_engine(settings.database_url) as engine:
        verifier = Verifier(engine, practice, [*read_roots(known)] if known else [])
        async for line in verifier.lines():
            echo(line)
        return verifier.differs


# -- daily roots -----------------------------------------------------------------------------------


async def print_roots(settings: Settings, practice: str | None, echo: Any) -> None:
    """Print the daily roots, each as a line of JSON."""
    async with database.open_engine(settings.database_url) as engine:
        for practice_id in await practices(engine, practice):
            for line in await root_lines(engine, practice_id):
                echo(json.dumps(line))


async def root_lines(engine: AsyncEngine, practice_id: str) -> list[dict[str, str]]:
    statement = select(ChainRoot).where(ChainRoot.practice_id == practice_id)
    async with engine.connect() as conn:
        rows = (await conn.execute(statement.order_by(ChainRoot.day))).all()
    return [root_line(row) for row in rows]


def root_line(root: Row[Any]) -> dict[str, str]:
    named = {"practice": f"pra_{root.practice_id}", "day": root.day.isoformat()}
    return named | {"hash": root.hash.hex()}


def read_roots(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the roots of a file that `portal verify --roots` printed."""
    for line in path.read_text().splitlines():
        try:
            root = json.loads(line)
        except ValueError:
            root = None
        if not isinstance(root, dict) or not {"practice", "day", "hash"} <= root.keys():
            raise UnreadableRoots(f"{path} is no list of roots, as `portal verify --roots` prints.")
        yield root
