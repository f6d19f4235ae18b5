"""Common parts of all commands: settings, coroutines, and error messages.

This module imports only modules that every command needs. A command imports its own modules in its
function, so that `--help` and small commands don't wait for packages that they don't use.
"""

import asyncio
import json as json_
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer
from typer.core import TyperGroup

from server.command_errors import CommandError

if TYPE_CHECKING:
    from server.settings import Settings

NOT_MIGRATED = "The database is not up to date: run `portal migrate` first."
FORBIDDEN = (
    "The database role lacks a right. `portal migrate` needs DATABASE_OWNER_URL, and grants what"
    " all other commands need: docs/databases.md."
)
T = TypeVar("T")


class PlainGroup(TyperGroup):
    """A group of commands that end with a sentence if they can't be done, if the database can't be
    used, or if an entry is refused.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CommandError as error:
            stop(str(error))
        except Exception as error:
            sentence = database_sentence(error) or refusal_sentence(error)
            if sentence is None:
                raise
            stop(sentence)


def database_sentence(error: Exception) -> str | None:
    """Return the sentence for an error of the database; None for any other error."""
    if "models.database" not in sys.modules:
        # The command used no database, and importing the package takes a second.
        return None
    from sqlalchemy.exc import DBAPIError

    from models.database import TransientError, UnfitDatabase, is_forbidden, is_unmigrated
    from models.migrations import UnknownRevision
    from models.migrations.steps import MigrationBlocked

    if isinstance(error, UnfitDatabase | UnknownRevision | MigrationBlocked):
        return str(error)
    if isinstance(error, TransientError):
        return f"The database of DATABASE_URL can't be used now: {error}."
    if isinstance(error, DBAPIError) and is_forbidden(error.orig):
        return FORBIDDEN
    if isinstance(error, DBAPIError) and is_unmigrated(error.orig):
        return NOT_MIGRATED
    return None


def refusal_sentence(error: Exception) -> str | None:
    """Return the sentence for an entry that was refused; None for any other error."""
    if "billing.entry.errors" not in sys.modules:
        return None
    from billing.entry.errors import EntryError

    return str(error) if isinstance(error, EntryError) else None


def run(awaited: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(awaited)


def settings_from_environment() -> "Settings":
    """Return the settings. Raise CommandError if the environment is wrong."""
    from server.settings import from_environment

    return from_environment()


def print_id(id_: str, *, json: bool) -> None:
    """Print the id of a row that a command entered: alone, or as JSON for programs."""
    typer.echo(json_.dumps({"id": id_}) if json else id_)


def confirm(question: str, *, yes: bool) -> None:
    """Ask a question on a terminal, unless it was answered with --yes. Stop without a yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        stop(f"{question} Give --yes.")
    if not typer.confirm(question):
        stop("Nothing was changed.")


def stop(message: str) -> NoReturn:
    """End the command with a sentence instead of a traceback."""
    typer.echo(message, err=True)
    raise typer.Exit(1)
