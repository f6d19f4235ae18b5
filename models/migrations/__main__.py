"""Write a new revision: what the mapped classes say and the revisions so far don't."""

import asyncio
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from models import database
from models.migrations import config, migrate


async def write(message: str) -> None:
    """Compare the rows with an empty database at the last revision. Read what it wrote: tidy it."""
    number = len(list(ScriptDirectory.from_config(config()).walk_revisions())) + 1
    with tempfile.TemporaryDirectory() as folder:
        engine = database.engine(f"sqlite:///{Path(folder) / 'empty.db'}")
        await migrate(engine)
        async with engine.connect() as connection:
            await connection.run_sync(
                lambda sync: command.revision(
                    config(sync), message, autogenerate=True, rev_id=f"{number:04}"
                )
            )
        await engine.dispose()


if __name__ == "__main__":
    asyncio.run(write(" ".join(sys.argv[1:]) or sys.exit("What changes?")))
