"""Load by wrk, if it is installed: it takes less CPU than `bench.load`."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from bench.figures import Round
from bench.load import GIVES_UP_AFTER_S, HOST, RUNS, Exchange, NotAnswered

HOW_TO_GET = "wrk is Debian's and Ubuntu's package `wrk`, Homebrew's too, or github.com/wg/wrk"
SCRIPT = Path(__file__).parent / "wrk.lua"
# One thread suffices for some hundred thousand requests a second, and leaves more CPU to the
# servers.
OPTIONS = f"-t1 --timeout {GIVES_UP_AFTER_S}s"
MICROSECONDS = 1_000_000


def is_there() -> bool:
    return shutil.which("wrk") is not None


def version() -> str:
    """Return wrk's version, which it prints with its usage."""
    said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
    return " ".join(said.split()[:2])


async def load(port: int, exchanges: Sequence[Exchange], connections: int, seconds: float) -> Round:
    """Send requests for this many seconds, a whole number."""
    with tempfile.NamedTemporaryFile() as file:
        write(Path(file.name), exchanges)
        said = await run(port, Path(file.name), connections, max(round(seconds), 1))
    check(said, [exchange.size for exchange in exchanges], connections)
    answers, lasted = said["answers"], said["microseconds"] / MICROSECONDS
    p50, p99 = said["p50"] / MICROSECONDS, said["p99"] / MICROSECONDS
    # wrk abandons a request on each connection, which the server answers all the same.
    return Round(answers, lasted, p50, p99, answers + connections, by_wrk=True)


def check(said: Mapping[str, int], sizes: Sequence[int], connections: int) -> None:
    """Check that all requests were answered, with the expected number of bytes."""
    if said["failed"] or said["not_ok"]:
        raise NotAnswered(
            f"wrk: {said['failed']} failed, {said['not_ok']} were not answered with 200"
        )
    # Parts of the abandoned responses are in the bytes.
    least = min(sizes) * said["answers"]
    most = max(sizes) * (said["answers"] + connections)
    if not least <= said["bytes"] <= most:
        raise NotAnswered(f"wrk: {said['bytes']} bytes instead of {least} to {most}")


def write(file: Path, exchanges: Sequence[Exchange]) -> None:
    """Write the requests in the format of wrk.lua."""
    requests = (exchange.request for exchange in exchanges)
    file.write_bytes(b"".join(b"%d\n%s" % (len(sent), sent) for sent in requests))


async def run(port: int, requests: Path, connections: int, seconds: int) -> dict[str, int]:
    options = f"{OPTIONS} -c{connections} -d{seconds}s".split()
    process = await asyncio.create_subprocess_exec(
        *("wrk", *options, "-s", str(SCRIPT), f"http://{HOST}:{port}"),
        *("--", str(requests), str(next(RUNS))),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "CONNECTIONS": str(connections)},
    )
    out, errors = await process.communicate()
    if process.returncode != 0 or not out.endswith(b"}\n"):
        raise NotAnswered(f"wrk: {(errors + out).decode(errors='replace')}")
    said: dict[str, int] = orjson.loads(out.splitlines()[-1])
    return said
