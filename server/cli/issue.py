"""The commands `portal issue`: the documents of a month, and their schedule."""

from typing import Annotated, Literal

import typer

from server.cli.console import run, settings_from_environment

app = typer.Typer(no_args_is_help=True, help="Issue the documents of a month.")

Practice = Annotated[str, typer.Option(help="The practice: pra_…")]
MonthText = Annotated[str, typer.Option(metavar="MONTH", help="The month, as 2026-10.")]
Preview = Annotated[
    bool, typer.Option("--preview", help="List the clients that would get one; issue nothing.")
]


@app.command("statements")
def statements(practice: Practice, month: MonthText, preview: Preview = False) -> None:
    """Issue a statement for each client whose account moved or has a balance, if it has none yet.

    The clients see them at once. Exit with 1 if a client's statement can't be issued.
    """
    issue("statements", practice, month, preview=preview)


@app.command("superbills")
def superbills(practice: Practice, month: MonthText, preview: Preview = False) -> None:
    """Issue superbills for each client with sessions that are on no superbill yet.

    Each clinician's sessions have their own superbill. Exit with 1 if one can't be issued.
    """
    issue("superbills", practice, month, preview=preview)


def issue(documents: str, practice: str, month: str, *, preview: bool) -> None:
    from server.cli import issue_admin

    settings = settings_from_environment()
    issued = issue_admin.issue_documents(
        settings, documents, practice, month, typer.echo, is_preview=preview
    )
    if not run(issued):
        raise typer.Exit(1)


# A day that every month has, or none.
Day = Annotated[
    int | None,
    typer.Option(min=1, max=28, help="The day of the next month (1 to 28) to issue them on."),
]


@app.command("schedule")
def schedule(
    documents: Annotated[
        Literal["statements", "superbills"], typer.Argument(help="The kind of document.")
    ],
    practice: Practice,
    day: Day = None,
    off: Annotated[bool, typer.Option("--off", help="Issue them by command alone.")] = False,
) -> None:
    """Set or show the day on which the server issues the last month's documents by itself."""
    from server.cli import issue_admin

    if day is not None and off:
        raise typer.BadParameter("--day and --off exclude one another.")
    settings = settings_from_environment()
    if day is None and not off:
        typer.echo(run(issue_admin.show_schedule(settings, documents, practice)))
    else:
        typer.echo(run(issue_admin.choose_day(settings, documents, practice, day)))
