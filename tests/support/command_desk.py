"""An operator's desk: commands run against a database of their own, and reads of its rows."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner, Result

from models import Practice, Row
from models.database import open_engine
from server.cli import main as cli
from tests.support.empty_databases import prepare
from tests.support.portal import KEY

FIELD_KEY = Fernet.generate_key().decode()
REQUIRED = ("--time-zone", "America/Chicago", "--currency", "USD", "--locale", "en-US")
# The operator's name in the audit log.
OPERATOR = "Olga"


@dataclass
class CommandDesk:
    """A database, whose address commands find in their environment."""

    engine: AsyncEngine
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def run(self, *arguments: str) -> Result:
        whole = ["--as", OPERATOR, *arguments]
        return await asyncio.to_thread(CliRunner().invoke, cli.app, whole)

    async def done(self, *arguments: str) -> str:
        """Run a command that succeeds, and return its output."""
        result = await self.run(*arguments)
        assert result.exit_code == 0, result.output or result.exception
        return result.stdout.strip()

    async def refused(self, *arguments: str) -> str:
        """Run a command that is refused, and return the sentence."""
        result = await self.run(*arguments)
        assert (result.exit_code, result.stdout) == (1, ""), result.output
        return result.stderr.strip()

    async def listed(self, *arguments: str) -> list[dict[str, Any]]:
        return list(json.loads(await self.done(*arguments, "--json")))

    async def practice(self, *arguments: str) -> str:
        """Create a practice with a name of its own, and return its id."""
        name = ("--name", f"Practice {next(self.numbers)}")
        return await self.done("practice", "create", *name, *REQUIRED, *arguments)

    async def rows(self, table: type[Row], practice: str) -> list[Any]:
        columns: Any = table.__table__
        own = columns.c["id" if table is Practice else "practice_id"] == practice[4:]
        async with self.engine.connect() as conn:
            found = await conn.execute(select(columns).where(own).order_by(*columns.primary_key))
            return [*found]


@asynccontextmanager
async def command_desk(url: str) -> AsyncIterator[CommandDesk]:
    """Yield a desk with a database that has tables and no rows."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "DATABASE_URL": url,
            "TOKEN_KEY": KEY,
            "FIELD_KEY": FIELD_KEY,
            "SANDBOX": "true",
        }.items():
            environment.setenv(name, value)
        environment.delenv("STRIPE_API_KEY", raising=False)
        await prepare(url)
        async with open_engine(url) as engine:
            yield CommandDesk(engine)
