"""What the commands of the benchmark have in common: their options, and how they end."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from bench import wrk
from bench.load import NotAnswered
from tests import postgres

Seconds = Annotated[int, typer.Option(min=1, help="How long each round takes.")]
Rounds = Annotated[int, typer.Option(min=1, help="How many rounds of each.")]


@contextmanager
def database_server() -> Iterator[str]:
    """The URL of a PostgreSQL; ends the command where there is none, or an answer is wrong."""
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
    """What stands between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def say(what: str) -> None:
    """For whoever waits; the results are all that goes to the standard output."""
    typer.echo(what, err=True)


def say_who_asks() -> None:
    if not wrk.is_there():
        say(f"There is no wrk, so bench/load.py asks, which takes more CPU. {wrk.HOW_TO_GET}.")
