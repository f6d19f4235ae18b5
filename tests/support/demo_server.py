"""A real `portal demo`, in a process and a folder of its own."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

PROJECT = Path(__file__).parents[2]
STARTS_WITHIN_S = 60
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Demo:
    """The demo's URL, and its tokens by the name of their subject."""

    url: str
    tokens: Mapping[str, str]
    folder: Path
    printed: Path


class Run(Protocol):
    """A function that runs `portal` with these arguments in a folder while its context lasts.

    It prints to a file, with `environment` added to this process's. Its value tells whether the
    process runs.
    """

    def __call__(
        self,
        command: Sequence[str],
        folder: Path,
        printed: Path,
        environment: Mapping[str, str] = ...,
    ) -> AbstractContextManager[Callable[[], bool]]: ...


@contextmanager
def started(
    command: Sequence[str], folder: Path, printed: Path, environment: Mapping[str, str] = NOTHING
) -> Iterator[Callable[[], bool]]:
    """Run `portal` in a new process."""
    own = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1", **environment}
    with printed.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", *command],
            cwd=folder,
            env=own,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield lambda: process.poll() is None
    finally:
        process.terminate()
        process.wait(120)


@contextmanager
def served(folder: Path, *options: str, run: Run = started) -> Iterator[Demo]:
    """Start a demo, wait until it listens, and end it like a closed terminal does."""
    told, printed = folder / "demo.json", folder / "printed.txt"
    told.unlink(missing_ok=True)
    command = ["demo", "--port", str(free_port()), "--json", str(told), *options]
    with run(command, folder, printed) as is_running:
        wait_for(told, is_running, printed)
        said = json.loads(told.read_text())
        yield Demo(said["graphql"].removesuffix("/graphql"), said["tokens"], folder, printed)


def wait_for(told: Path, is_running: Callable[[], bool], printed: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while not told.exists():
        if not is_running() or time.monotonic() > until:
            raise AssertionError(f"the demo did not start:\n{printed.read_text()}")
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
