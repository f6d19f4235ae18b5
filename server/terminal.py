"""Common parts of all commands: settings, coroutines, and error messages."""

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import typer
from sqlalchemy.exc import DBAPIError
from typer.core import TyperGroup

from models.database import TransientError, UnfitDatabase, is_unmigrated
from server.settings import Settings, WrongSettings, from_environment

NOT_MIGRATED = "The database is not up to date: run `portal migrate` first."
T = TypeVar("T")


class PlainGroup(TyperGroup):
    """A group of commands that end with a sentence if the database is unreachable or not
    migrated.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UnfitDatabase as error:
            stop(str(error))
        except TransientError as error:
            stop(f"The database of DATABASE_URL can't be used now: {error}.")
        except DBAPIError as error:
            if not is_unmigrated(error.orig):
                raise
            stop(NOT_MIGRATED)


def run(awaited: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(awaited)


def settings_or_stop() -> Settings:
    try:
        return from_environment()
    except WrongSettings as error:
        stop(str(error))


def stop(message: str) -> NoReturn:
    """End the command with a sentence instead of a traceback."""
    typer.echo(message, err=True)
    raise typer.Exit(1)
