"""A warmed process that forks others on request, so that none of them imports anything.

A module can be one by calling `forks(begin, warm)`. `Nursery` runs the module and sends it JSON
lines. The process has neither threads nor an event loop.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.app import checked_schema

PROJECT = Path(__file__).parents[2]


class Nursery:
    """The process of a module."""

    def __init__(self, module: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert json.loads(self.process.stdout.readline()) == "warm"

    def born(self, **asked: Any) -> int:
        """Fork a process that calls the module's `begin` with these arguments, and
        return its id.
        """
        return self.ask(asked)

    def reaped(self, child: int) -> int:
        """Wait for a process to end, and return the signal that ended it, or 0."""
        return self.ask({"reap": child})

    def is_running(self, child: int) -> bool:
        return not self.ask({"ended": child})

    def ask(self, asked: dict[str, Any]) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return int(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(120)
        if self.process.stdout is not None:
            self.process.stdout.close()


# -- inside the process ----------------------------------------------------------------------------


def forks(begin: Callable[..., None], warm: Callable[[str], object]) -> None:
    """Answer requests of the parent process until it closes the pipe.

    `warm` is called before a fork with the URL of its database.
    """
    print(json.dumps("warm"), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "ended" in asked:
            answer = int(status(asked["ended"], os.WNOHANG) is not None)
        elif "reap" in asked:
            answer = reaped(asked["reap"])
        else:
            warm(url_of(asked))
            answer = fork(begin, asked)
        print(json.dumps(answer), flush=True)


def url_of(asked: dict[str, Any]) -> str:
    """Return the URL of the database that a request is about, or an empty one."""
    settings, environment = asked.get("settings", {}), asked.get("environment", {})
    return str(settings.get("database_url") or environment.get("DATABASE_URL") or "")


def check_schema_for(url: str) -> None:
    """Check the schema once for each kind of database, so that no fork has to."""
    checked_schema(lateral=url.startswith("postgres"))


def fork(begin: Callable[..., None], asked: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    # A fork that fails must not continue as a second server of requests.
    try:
        begin(**asked)
    finally:
        os._exit(1)


# Statuses of ended processes that were not requested yet.
STATUSES: dict[int, int] = {}


def status(child: int, options: int) -> int | None:
    """Return the status of a process, or None if it runs."""
    if child not in STATUSES:
        ended, found = os.waitpid(child, options)
        if ended:
            STATUSES[child] = found
    return STATUSES.get(child)


def reaped(child: int) -> int:
    found = status(child, 0)
    del STATUSES[child]
    return os.WTERMSIG(found) if found is not None and os.WIFSIGNALED(found) else 0
