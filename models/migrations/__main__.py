"""Command that writes a new revision: the differences between the mapped classes and the revisions.

The file is formatted and passes the linters. Read it before use: no comparison knows how existing
rows have to change.
"""

import asyncio
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from models import database
from models.migrations import config, upgrade

RUFF = (("check", "--fix", "--quiet"), ("format", "--quiet"))
NO_RUFF = (
    "ruff is not installed: run `make .venv/.lint`, then `ruff format` and `ruff check --fix`."
)


async def write_revision(message: str) -> Path:
    """Compare the mapped classes with an empty database at the last revision; return the file."""
    number = len(list(ScriptDirectory.from_config(config()).walk_revisions())) + 1
    with tempfile.TemporaryDirectory() as folder:
        engine = database.engine(f"sqlite:///{Path(folder) / 'empty.db'}")
        await upgrade(engine)
        async with engine.connect() as conn:
            made = await conn.run_sync(
                lambda sync: command.revision(
                    config(sync), message, autogenerate=True, rev_id=f"{number:04}"
                )
            )
        await engine.dispose()
    assert made is not None
    assert not isinstance(made, list)
    return Path(made.path)


def format_revision(path: Path) -> None:
    """Take Alembic's remarks out of a revision, and format it."""
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.strip().startswith("# ### ")))
    if find_spec("ruff") is None:
        sys.stderr.write(f"{NO_RUFF}\n")
        return
    for arguments in RUFF:
        subprocess.run([sys.executable, "-m", "ruff", *arguments, str(path)], check=True)


if __name__ == "__main__":
    try:
        written = asyncio.run(write_revision(" ".join(sys.argv[1:]) or sys.exit("What changes?")))
        format_revision(written)
    except (CommandError, subprocess.CalledProcessError) as error:
        sys.exit(f"No revision that can be used was written: {error}")
