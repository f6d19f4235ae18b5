"""The commands `portal backup`, `portal restore` and `portal recover`."""

from pathlib import Path
from typing import Annotated

import typer

from server.cli.console import run, settings_from_environment

# Without a name of its own: its commands are the portal's.
app = typer.Typer()


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
) -> None:
    """Write a verified backup of an SQLite database, which may be served meanwhile.

    PostgreSQL is backed up by its own programs: docs/operations.md, Backup and restore.
    """
    from server.cli import backup

    typer.echo(run(backup.write_backup(settings_from_environment(), file)))


@app.command()
def restore(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A file of `portal backup`.")
    ],
) -> None:
    """Restore an SQLite database from a verified backup, in the place of none.

    It is served after `portal recover` alone.
    """
    from server.cli import backup

    typer.echo(run(backup.restore_backup(settings_from_environment(), file)))


@app.command()
def recover(
    restored: Annotated[
        bool,
        typer.Option(
            "--restored",
            help="The database was restored although nothing shows it, as to a point in time.",
        ),
    ] = False,
    moved: Annotated[
        bool,
        typer.Option(
            "--moved", help="Only accept a database that was moved: nothing was written since."
        ),
    ] = False,
    assign: Annotated[
        str | None,
        typer.Option(
            metavar="pi_…=cli_…",
            help="Only adopt a reported payment, whose client is lost, for another client.",
        ),
    ] = None,
) -> None:
    """Recover a database that was restored from a backup, before it is served.

    Payments, refunds, disputes and cards that Stripe has and the database has not are adopted,
    and document numbers go on past those that may have been given out. A second run changes
    nothing. Exit with 1 if it has to be run again.
    """
    from server.cli import recover

    settings = settings_from_environment()
    if assign is not None:
        typer.echo(run(recover.assign_payment(settings, assign)))
    elif moved:
        typer.echo(run(recover.accept_move(settings)))
    elif not run(recover.recover(settings, typer.echo, restored=restored)):
        raise typer.Exit(1)
