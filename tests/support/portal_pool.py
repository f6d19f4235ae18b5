"""Warmed process that forks portals: `python -m tests.support.portal_pool`."""

import os

from server.cli import demo, serve
from server.cli.main import app
from tests.support.process_pool import check_schema_for, forks


def run(command: list[str], folder: str, printed: str, environment: dict[str, str]) -> None:
    """Run `portal` in a folder, with more environment variables and its output in a file."""
    os.environ.update(environment)
    os.chdir(folder)
    out = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(out, descriptor)
    app(command)


# Commands import their modules when they run; these are imported once, before there are forks.
WARM = (demo, serve)

if __name__ == "__main__":
    forks(run, warm=check_schema_for)
