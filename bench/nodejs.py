"""The Node program for the peers that need it, and their packages.

`python -m bench.nodejs` installs them; with `--find` it prints the Node found, or exits with 1.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "peers" / "node"
LOCK = FOLDER / "package-lock.json"
# npm writes this file when it has finished.
INSTALLED = FOLDER / "node_modules" / ".package-lock.json"
SAYS = "process.stdout.write(process.versions.node + ' ' + process.execPath)"


def needed() -> int:
    """Return the major version in the peers' package.json."""
    engines = json.loads((FOLDER / "package.json").read_text()).get("engines", {})
    match = re.search(r"\d+", engines.get("node", "0"))
    return int(match[0]) if match else 0


@cache
def found() -> tuple[str, str] | None:
    """Return the version and path of a Node that is new enough: NODE's, PATH's, or the wheel's."""
    return next((one for one in said() if int(one[0].partition(".")[0]) >= needed()), None)


def said() -> Iterator[tuple[str, str]]:
    """Yield each Node's own version and path, since one in PATH may be a script that starts
    another.
    """
    for name in (os.environ.get("NODE"), "node", str(Path(sys.executable).with_name("node"))):
        if name and shutil.which(name):
            told = subprocess.run([name, "-e", SAYS], capture_output=True, text=True, check=False)
            version, _, program = told.stdout.partition(" ")
            if program:
                yield version, program


def missing() -> str | None:
    """Return the reason why no Node can be started, or None."""
    if found() is None:
        return f"there is no Node {needed()} or newer: `make bench-peers` gets one"
    if not is_installed():
        return "its packages are not installed: `make bench-peers` does it"
    return None


def is_installed() -> bool:
    """Return whether the packages are installed completely, from the current lock file."""
    return INSTALLED.exists() and INSTALLED.stat().st_mtime >= LOCK.stat().st_mtime


def version_of(package: str) -> str:
    described = FOLDER / "node_modules" / package / "package.json"
    version: str = json.loads(described.read_text())["version"]
    return version


def install() -> None:
    """Install the packages of package-lock.json, by the npm next to the Node."""
    node = found()
    if node is None:
        sys.exit(f"No Node {needed()} or newer is in PATH, named by NODE=, or in .venv.")
    environment = {**os.environ, "PATH": f"{Path(node[1]).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [*npm(Path(node[1])), "ci", "--loglevel=error", "--no-progress"]
    print(f"Installing the npm packages of the peers, with Node {node[0]} (once) …", flush=True)
    done = subprocess.run(
        command, cwd=FOLDER, env=environment, stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        sys.exit(f"npm could not install the packages of {LOCK}, see its output above.")


def npm(node: Path) -> list[str]:
    """Return the command of npm, found as in web/build.sh."""
    for folder in (node.parent / ".." / "lib", node.parent):
        script = folder / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if script.exists():
            return [str(node), str(script)]
    return ["npm"]


if __name__ == "__main__":
    if "--find" in sys.argv:
        print(found())
        sys.exit(found() is None)
    elif not is_installed():
        install()
