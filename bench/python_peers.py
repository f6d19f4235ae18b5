"""The environment of the peers in Python, which `make bench-peers` makes."""

import importlib.metadata
from pathlib import Path

FOLDER = Path(__file__).parent / "peers" / "python"
PROGRAM = FOLDER / ".venv" / "bin" / "python"
# Make writes this file when all packages are installed.
INSTALLED = FOLDER / ".venv" / ".made"
PINS = Path(__file__).parent.parent / "constraints.txt"


def missing() -> str | None:
    """Return the reason why no peer can be started, or None."""
    is_installed = INSTALLED.exists() and INSTALLED.stat().st_mtime >= PINS.stat().st_mtime
    return None if is_installed else "its packages are not installed: `make bench-peers` does it"


def version_of(package: str) -> str:
    found = [str(path) for path in (FOLDER / ".venv" / "lib").glob("*/site-packages")]
    (one,) = importlib.metadata.distributions(name=package, path=found)
    return one.version
