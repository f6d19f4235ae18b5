"""CPU time and memory of processes (on Linux only), and the machine's description."""

import math
import os
import platform
from pathlib import Path

PROC = Path("/proc")
# Fields in /proc/PID/stat, counted after the name: the parent; ticks of the process in user and
# system mode, then those of its ended children; pages of resident memory.
PARENT, TICKS, RESIDENT = 1, slice(11, 15), 21


def cpu_of(process: int | None) -> float:
    """Return the CPU seconds of a process and its children so far; NaN if unknown."""
    every = family(process)
    ticks = sum(int(field) for fields in every for field in fields[TICKS])
    return ticks / os.sysconf("SC_CLK_TCK") if every else math.nan


def resident_mb(process: int) -> float:
    """Return the memory of a process and its children in MB; NaN if unknown."""
    every = family(process)
    pages = sum(int(fields[RESIDENT]) for fields in every)
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20 if every else math.nan


def family(process: int | None) -> list[list[str]]:
    """Return the fields of a process and its children; empty if the process does not exist."""
    found = {int(path.parent.name): stat(path) for path in PROC.glob("[0-9]*/stat")}
    if process not in found:
        return []
    return [fields for pid, fields in found.items() if process in (pid, int(fields[PARENT]))]


def stat(path: Path) -> list[str]:
    """Return the fields after the name; zeros for a process that has just ended."""
    try:
        return path.read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["0"] * (RESIDENT + 1)


def postmaster(backend: int) -> int | None:
    """Return the process that started a PostgreSQL backend, if it is on this machine."""
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
