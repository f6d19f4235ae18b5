"""The commands `portal documents`: checks of a client's documents, and their manifest."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, help="Check a client's GraphQL documents, and write their manifest."
)

Folder = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", exists=True, file_okay=False, help="The folder with files *.graphql."
    ),
]


@app.command("check")
def check(
    folder: Folder,
    max_cost: Annotated[
        int | None, typer.Option(min=0, help="The cost that no operation may exceed.")
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A manifest whose costs no operation may exceed."
        ),
    ] = None,
    statement: Annotated[
        bool, typer.Option("--statement", help="Also print the SQL statements.")
    ] = False,
) -> None:
    """Validate each operation of a folder, and print its cost, scopes and statement.

    The costs are those of `extensions.cost`. A cost with page sizes in variables is compared with
    the largest pages. The statement is that of a client on PostgreSQL. Exit with 1 if a document is
    invalid, or costs too much.
    """
    from server.cli.document_report import DocumentReport

    report = DocumentReport(folder)
    for line in report.lines(with_statement=statement):
        typer.echo(line)
    if faults := report.faults(max_cost, baseline):
        typer.echo("\n".join(map(str, faults)), err=True)
        raise typer.Exit(1)


@app.command("manifest")
def manifest(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")],
) -> None:
    """Write a manifest with each operation of a folder, in Apollo's format.

    An id is `sha256:` and the hash of the operation's text with the fragments that it uses.
    """
    from server.cli.document_report import DocumentReport

    out.write_text(DocumentReport(folder).manifest(), encoding="utf-8")
