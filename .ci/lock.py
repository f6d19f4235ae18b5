"""Writes constraints.txt: every package of every extra, pinned and hashed, in sections.

A section holds what an extra adds to `run`, so that `make run` can install one section
and leave the test tools and the big wheels alone. pip's hash mode takes no unpinned
requirement even where a constraint pins it, so the sections are what it is given.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAD = """\
# Made by `make lock`. The packages of pyproject.toml and theirs, newest that work together.
# [run] is the server and its build; each other section is what that extra adds to it.
"""
# An extra whose packages are installed for their files, without what their code needs.
FILES_ONLY = "specification"


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    together = [f"--extra={extra}" for extra in extras if extra != FILES_ONLY]
    everything = compiled(*together)
    run = blocks(compiled(constraint=everything))
    sections = {"run": run}
    for extra in extras:
        alone = ["--no-deps"] if extra == FILES_ONLY else []
        wanted = blocks(compiled("--extra", extra, *alone, constraint=everything))
        sections[extra] = [block for block in wanted if block not in run]
    text = HEAD + "".join(f"\n# [{name}]\n{''.join(lines)}" for name, lines in sections.items())
    (ROOT / "constraints.txt").write_text(text)


def compiled(*extras: str, constraint: str | None = None) -> str:
    """The pins of the dependencies, the build group and these extras."""
    command = ["uv", "pip", "compile", "pyproject.toml", "--group", "build", *extras]
    command += ["--generate-hashes", "--universal", "--python-version", "3.11"]
    command += ["--quiet", "--no-header", "--no-annotate"]
    if constraint is not None:
        command += ["--constraint", "-"]
    done = subprocess.run(
        command, cwd=ROOT, input=constraint, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def blocks(text: str) -> list[str]:
    """Each pin with its hashes: a line that starts at the margin, and those indented below it."""
    found: list[str] = []
    for line in text.splitlines(keepends=True):
        if line.startswith(" "):
            found[-1] += line
        else:
            found.append(line)
    return found


if __name__ == "__main__":
    main()
