"""What all commands have in common: settings, coroutines, and an end in plain words."""

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import typer

from models.database import TransientError, UnfitDatabase
from server.settings import Settings, WrongSettings, from_environment

T = TypeVar("T")


def run(awaited: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; stop with a sentence, where the database cannot be used."""
    try:
        return asyncio.run(awaited)
    except UnfitDatabase as error:
        stop(str(error))
    except TransientError as error:
        stop(f"The database cannot be used now: {error}.")


def settings_or_stop() -> Settings:
    try:
        return from_environment()
    except WrongSettings as error:
        stop(str(error))


def stop(message: str) -> NoReturn:
    """Ends with a sentence, not a traceback."""
    typer.echo(message, err=True)
    raise typer.Exit(1)
