"""The packages that a command imports: help none of them, every other command those that it uses.

Importing all packages takes seconds of CPU, so each command is held to its own.
"""

import asyncio
import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import get_args

import pytest

from models import DocumentKind, Relation
from server.cli import practice_settings
from server.cli.contacts import RelationName
from tests.support.empty_databases import prepare
from tests.support.portal import KEY

PROJECT = set("graph execution resolvers demo identity billing planner models sandbox".split())
SERVING = {"strawberry", "graphql", "uvicorn", "httptools", "typst", "babel"}
PAYMENTS = {"stripe", "sandbox"}
DATABASE = {"sqlalchemy", "models"}

RUN_AND_LIST_MODULES = """
import sys
from server.cli.main import app
try:
    app(sys.argv[1:])
finally:
    print(*sys.modules, file=sys.stderr)
"""


def imported(*arguments: str, folder: Path) -> set[str]:
    """Run a command in a process of its own; return the top-level packages that it imported."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "DATABASE_URL": "sqlite:///portal.sqlite",
        "TOKEN_KEY": KEY,
        "SANDBOX": "true",
    }
    command = [sys.executable, "-c", RUN_AND_LIST_MODULES, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {module.partition(".")[0] for module in done.stderr.split()}


def dependencies() -> set[str]:
    """Return the top-level packages of every distribution that pyproject.toml depends on."""
    needed = requires("client-billing-portal") or []
    names = {normal(re.split(r"[^\w.-]", line)[0]) for line in needed if "extra ==" not in line}
    return {
        package
        for package, distributions in packages_distributions().items()
        if names & set(map(normal, distributions))
    }


def normal(name: str) -> str:
    """Return a distribution's name as they are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.share(6)
@pytest.mark.parametrize("command", ["", "token", "contact link", "practice create", "serve"])
def test_help_imports_nothing_but_the_command_line(command: str, tmp_path: Path) -> None:
    assert {"sqlalchemy", "strawberry", "stripe", "pydantic_settings"} <= dependencies()
    modules = imported(*command.split(), "--help", folder=tmp_path)
    assert modules & (dependencies() | PROJECT) == {"typer"}


@pytest.mark.share(2)
@pytest.mark.parametrize(
    ("command", "unused"),
    [
        ("migrate", SERVING | PAYMENTS),
        ("token list", SERVING | PAYMENTS),
        ("practice list", (SERVING - {"babel"}) | PAYMENTS),
        ("sessions list", SERVING | PAYMENTS),
        ("reconcile", {"uvicorn", "httptools", "typst"}),
    ],
)
async def test_a_command_imports_only_what_it_uses(
    command: str, unused: set[str], tmp_path: Path
) -> None:
    await prepare(f"sqlite:///{tmp_path / 'portal.sqlite'}")
    modules = await asyncio.to_thread(imported, *command.split(), folder=tmp_path)
    assert modules >= DATABASE
    assert modules & unused == set()


def test_every_relation_may_be_named() -> None:
    assert set(get_args(RelationName)) == set(Relation)


def test_every_kind_of_document_has_number_settings() -> None:
    assert [*practice_settings.KINDS] == [*DocumentKind]
