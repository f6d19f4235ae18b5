"""The commands `portal credit`: credit, given and put toward invoices."""

from typing import Annotated

import typer

from server.cli.console import print_id, run, settings_from_environment
from server.cli.fields import SOURCE, External, Json, Source

app = typer.Typer(no_args_is_help=True, help="Give credit, and put it toward invoices.")


@app.command("give")
def give(
    client: Annotated[str, typer.Argument(help="The client: cli_…")],
    amount: Annotated[
        str, typer.Option(help="The amount, as 12.50; as -12.50 to take unused credit back.")
    ],
    description: Annotated[str, typer.Option(help="The reason, as the client reads it.")],
    external_id: External = None,
    source: Source = SOURCE,
    json: Json = False,
) -> None:
    """Give credit, which stays unused until it is applied or the client pays.

    Print the id of the entry in the account history.
    """
    from server.cli import credit_admin

    entered = credit_admin.give(
        settings_from_environment(), client, amount, description, (source, external_id)
    )
    print_id(run(entered), json=json)


@app.command("apply")
def apply(
    invoice: Annotated[str, typer.Argument(help="The invoice: inv_…")],
    amount: Annotated[str, typer.Option(help="The amount, as 12.50.")],
    external_id: External = None,
    source: Source = SOURCE,
) -> None:
    """Put unused credit toward an invoice."""
    from server.cli import credit_admin

    typer.echo(
        run(credit_admin.apply(settings_from_environment(), invoice, amount, (source, external_id)))
    )
