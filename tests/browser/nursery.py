"""Demos that start at once: `python -m tests.browser.nursery`."""

import os

from server.app import checked
from server.cli import app
from tests.nursery import forks


def serve(command: list[str], folder: str, printed: str) -> None:
    """`portal`, in a folder of its own; what it prints goes to a file."""
    os.chdir(folder)
    out = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(out, descriptor)
    app(command)


if __name__ == "__main__":
    checked(lateral=False)
    forks(serve)
