"""Common options and exit codes of the benchmark's commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from bench import wrk
from bench.load import NotAnswered
from tests.support import postgres

Seconds = Annotated[int, typer.Option(min=1, help="Seconds of each round.")]
Rounds = Annotated[int, typer.Option(min=1, help="Rounds of each server.")]


@contextmanager
def database_server() -> Iterator[str]:
    """Yield the URL of a PostgreSQL server; exit if there is none, or if a response is wrong."""
    with postgres.server() as url:
        if url is None:
            typer.echo(f"No PostgreSQL was found: {postgres.HOW_TO_GET}.", err=True)
            raise typer.Exit(2)
        try:
            yield url
        except NotAnswered as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None


def listed(text: str) -> list[str]:
    """Split a text at its commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def say(what: str) -> None:
    """Print progress to the standard error; only results go to the standard output."""
    typer.echo(what, err=True)


def say_who_asks() -> None:
    if not wrk.is_there():
        say(f"Without wrk, bench/load.py sends the requests, and takes more CPU. {wrk.HOW_TO_GET}.")
