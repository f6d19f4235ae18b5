"""A real `portal demo`, in a process and a folder of its own."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parent.parent
STARTS_WITHIN_S = 60


@dataclass(frozen=True)
class Demo:
    """Where the demo is served, and its tokens by whom they are of."""

    url: str
    tokens: Mapping[str, str]
    folder: Path
    printed: Path


@contextmanager
def served(folder: Path, *options: str) -> Iterator[Demo]:
    """Starts it, waits until it listens, and interrupts it in the end as Ctrl-C does."""
    told, printed = folder / "demo.json", folder / "printed.txt"
    told.unlink(missing_ok=True)
    command = [sys.executable, "-m", "server", "demo", "--port", str(free_port())]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"}
    with printed.open("w") as out:
        process = subprocess.Popen(
            [*command, "--json", str(told), *options],
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(told, process, printed)
        said = json.loads(told.read_text())
        yield Demo(said["graphql"].removesuffix("/graphql"), said["tokens"], folder, printed)
    finally:
        process.terminate()
        process.wait(20)


def wait_for(told: Path, process: subprocess.Popen[bytes], printed: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while not told.exists():
        if process.poll() is not None or time.monotonic() > until:
            raise AssertionError(f"the demo did not start:\n{printed.read_text()}")
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
