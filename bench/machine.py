"""What processes take of the machine's time (only Linux tells), and which machine it is."""

import math
import os
import platform
from pathlib import Path

PROC = Path("/proc")
# In /proc/PID/stat, counted from behind the name: the parent; ticks of the process in user and
# system mode, then those of its children that have ended; the pages of memory that it has.
PARENT, TICKS, RESIDENT = 1, slice(11, 15), 21


def cpu_of(process: int | None) -> float:
    """Seconds of CPU that a process and its children have taken so far; NaN if none can tell."""
    every = family(process)
    ticks = sum(int(field) for fields in every for field in fields[TICKS])
    return ticks / os.sysconf("SC_CLK_TCK") if every else math.nan


def resident_mb(process: int) -> float:
    """Memory of a process and its children; NaN if none can tell."""
    every = family(process)
    pages = sum(int(fields[RESIDENT]) for fields in every)
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20 if every else math.nan


def family(process: int | None) -> list[list[str]]:
    """What is told of a process and its children; nothing if it isn't there."""
    found = {int(path.parent.name): stat(path) for path in PROC.glob("[0-9]*/stat")}
    if process not in found:
        return []
    return [fields for pid, fields in found.items() if process in (pid, int(fields[PARENT]))]


def stat(path: Path) -> list[str]:
    """The fields behind the name; zeros for a process that has just ended."""
    try:
        return path.read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["0"] * (RESIDENT + 1)


def postmaster(backend: int) -> int | None:
    """The process that started a PostgreSQL backend, if it is on this machine."""
    folder = PROC / str(backend)
    try:
        is_here = (folder / "comm").read_text().startswith("postgres")
    except FileNotFoundError:
        return None
    return int(stat(folder / "stat")[PARENT]) if is_here else None


def described() -> str:
    cores = f"{os.cpu_count()} cores of {processor()}"
    return f"{cores}, {platform.system()}, Python {platform.python_version()}"


def processor() -> str:
    try:
        lines = (PROC / "cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.machine()
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
