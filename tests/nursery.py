"""A warmed process that forks others, asked by JSON lines: none of them imports anything.

A module is one when run, if it warms up and ends with `forks(begin)`; `Nursery` runs it. It has no
thread and no loop.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent.parent


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
        """The id of a new process, for which the module's `begin` is called with these."""
        return self.ask(asked)

    def reaped(self, child: int) -> int:
        """Waits for its end; the signal that it ended by, or 0."""
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
        self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()


# -- in the process itself -------------------------------------------------------------------------


def forks(begin: Callable[..., None]) -> None:
    """Answers whoever started this process, until they close the pipe."""
    print(json.dumps("warm"), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "ended" in asked:
            answer = int(status(asked["ended"], os.WNOHANG) is not None)
        elif "reap" in asked:
            answer = reaped(asked["reap"])
        else:
            answer = fork(begin, asked)
        print(json.dumps(answer), flush=True)


def fork(begin: Callable[..., None], asked: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    # One that failed to begin must not go on as a second nursery.
    try:
        begin(**asked)
    finally:
        os._exit(1)


# Of those that have ended, and that nobody has asked for yet.
STATUSES: dict[int, int] = {}


def status(child: int, options: int) -> int | None:
    """How it ended, if it did."""
    if child not in STATUSES:
        ended, found = os.waitpid(child, options)
        if ended:
            STATUSES[child] = found
    return STATUSES.get(child)


def reaped(child: int) -> int:
    found = status(child, 0)
    del STATUSES[child]
    return os.WTERMSIG(found) if found is not None and os.WIFSIGNALED(found) else 0
