"""The measured servers: the portal, the hand-written endpoint, and the peers; and their
commands.
"""

import importlib.metadata
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from graphql import parse, print_ast
from graphql.utilities import separate_operations

from bench import nodejs, python_peers
from bench.operations import Asked
from bench.peers.python.shapes import as_portals

POSTGRESQL, SQLITE = "postgresql", "sqlite"
# No target writes a line for each request, and all send the header that `portal serve` adds to each
# response. Other settings are uvicorn's defaults.
UVICORN = (
    *("-m", "uvicorn", "--factory", "--no-server-header", "--no-access-log"),
    *("--header", "X-Content-Type-Options:nosniff"),
)


@dataclass(frozen=True)
class Target:
    """A server of the operations.

    `command`: the arguments of Python, or of Node if `on_node`, before the port. `is_apart`: its
    Python is that of the peers. `documents`: its own queries, if they differ, and `shape` returns
    its answer in the portal's shape. `sql`: objects that its database needs in addition to the
    practice. `packages`: the packages whose versions are listed. `is_portal`: it confines itself to
    the practice whose rows it reads; all others read as the role that owns the tables. `settings`:
    its own environment.
    """

    key: str
    name: str
    command: Sequence[str]
    database: str = POSTGRESQL
    on_node: bool = False
    is_apart: bool = False
    documents: Path | None = None
    shape: Callable[[Any], Any] | None = None
    sql: Path | None = None
    packages: Sequence[str] = ()
    is_portal: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)

    def missing(self) -> str | None:
        """Return the reason why the server cannot be started, or None."""
        if self.is_apart:
            return python_peers.missing()
        return nodejs.missing() if self.on_node else None

    def started_by(self, port: int) -> list[str]:
        node = nodejs.found() if self.on_node else None
        python = str(python_peers.PROGRAM) if self.is_apart else sys.executable
        return [node[1] if node else python, *self.command, str(port)]

    def asking(self, asked: Sequence[Asked]) -> list[Asked]:
        """Return the requests, with the server's own queries if it has some."""
        own = documents(self.documents) if self.documents else {}
        return [replace(each, query=own.get(each.operation, each.query)) for each in asked]

    def versions(self) -> list[str]:
        version_of = nodejs.version_of if self.on_node else importlib.metadata.version
        if self.is_apart:
            version_of = python_peers.version_of
        return [f"{package} {version_of(package)}" for package in self.packages]


def documents(file: Path) -> Mapping[str, str]:
    """Return each operation of a file with the fragments that it uses, by name."""
    operations = separate_operations(parse(file.read_text()))
    return {name: print_ast(document) for name, document in operations.items()}


def by_node(key: str, name: str, *packages: str) -> Target:
    script = nodejs.FOLDER / f"{key}.mjs"
    return Target(key, name, (str(script),), on_node=True, packages=packages)


BY_HAND = Target(
    "by-hand",
    "by hand",
    (*UVICORN, "bench.hand_written:served", "--port"),
    packages=("asyncpg", "uvicorn"),
)
PORTAL = Target(
    "portal",
    "portal",
    ("-m", "server", "serve", "--no-access-log", "--port"),
    packages=("strawberry-graphql", "starlette", "sqlalchemy"),
    is_portal=True,
)
UNCHANGED = replace(
    PORTAL,
    key="unchanged",
    name="portal, unchanged data",
    settings={"ANSWER_CACHE_MB": "32"},
    packages=(),
)
UNRECORDED = Target(
    "unrecorded",
    "unrecorded",
    (*UVICORN, "bench.unrecorded:served", "--port"),
    is_portal=True,
)
ON_SQLITE = replace(PORTAL, key="sqlite", name="portal on SQLite", database=SQLITE, packages=())
IDIOMATIC = Target(
    "idiomatic",
    "idiomatic Strawberry",
    (*UVICORN, "bench.peers.idiomatic.server:served", "--port"),
)
MERCURIUS = by_node("mercurius", "Mercurius + graphql-jit", "mercurius", "graphql-jit", "fastify")
YOGA = by_node("yoga", "GraphQL Yoga", "graphql-yoga")
POSTGRAPHILE = replace(
    by_node("postgraphile", "PostGraphile 5", "postgraphile"),
    documents=nodejs.FOLDER / "postgraphile.graphql",
    sql=nodejs.FOLDER / "postgraphile.sql",
)
STRAWCHEMY = Target(
    "strawchemy",
    "strawchemy",
    (*UVICORN, "bench.peers.python.strawchemy_server:served", "--port"),
    is_apart=True,
    documents=python_peers.FOLDER / "strawchemy.graphql",
    shape=as_portals,
    sql=POSTGRAPHILE.sql,
    packages=("strawchemy",),
)
DJANGO = replace(
    STRAWCHEMY,
    key="django",
    name="strawberry-django",
    command=("-m", "bench.peers.python.django_app.server"),
    documents=python_peers.FOLDER / "django.graphql",
    packages=("strawberry-graphql-django", "django", "waitress"),
)
# The order in the tables.
TARGETS = (
    BY_HAND,
    PORTAL,
    ON_SQLITE,
    POSTGRAPHILE,
    MERCURIUS,
    YOGA,
    IDIOMATIC,
    STRAWCHEMY,
    DJANGO,
)
