"""The commands `portal invoice`: invoices, issued, voided, written off, adjusted and listed."""

import json as json_
from pathlib import Path
from typing import Annotated, Any

import typer

from server.cli.console import print_id, run, settings_from_environment
from server.cli.fields import SOURCE, Day, External, Json, Source, given

app = typer.Typer(no_args_is_help=True, help="Issue, void, write off, adjust and list invoices.")

Client = Annotated[str, typer.Argument(help="The client: cli_…")]
Invoice = Annotated[str, typer.Argument(help="The invoice: inv_…")]


@app.command("issue")
def issue(
    client: Client,
    file: Annotated[
        Path | None, typer.Argument(dir_okay=False, help="A TOML file of the invoice.")
    ] = None,
    line: Annotated[
        list[str] | None, typer.Option(help='A line, as "Report for school=120.00"; repeatable.')
    ] = None,
    session: Annotated[
        list[str] | None, typer.Option(help="A session with its fee: ses_…; repeatable.")
    ] = None,
    uninvoiced: Annotated[
        bool, typer.Option("--uninvoiced", help="A line for each session without an invoice.")
    ] = False,
    issued_on: Day = None,
    due_on: Day = None,
    clinician: Annotated[
        str | None, typer.Option(help="The clinician: cln_… (default: the client's).")
    ] = None,
    notes: Annotated[str | None, typer.Option(help="A text for the client.")] = None,
    number: Annotated[
        str | None, typer.Option(help="A number of another system (default: the next one).")
    ] = None,
    shared: Annotated[
        bool | None, typer.Option(help="Whether the client sees it (default: yes).")
    ] = None,
    external_id: External = None,
    source: Source = SOURCE,
    json: Json = False,
) -> None:
    """Issue an invoice with lines of options, of a file, or of both. Print its id.

    Without a due date it is due after the practice's days until due.
    """
    from server.cli import invoice_admin, invoice_file

    facts: dict[str, Any] = {
        "issued_on": issued_on,
        "due_on": due_on,
        "clinician": clinician,
        "notes": notes,
        "number": number,
        "shared": shared,
    }
    read = invoice_file.read_invoice(file) if file is not None else {}
    lines = [*read.pop("lines", []), *invoice_file.lines_of(line or [], session or [])]
    issued = invoice_admin.issue(
        settings_from_environment(),
        client,
        read | given(facts),
        lines,
        uninvoiced=uninvoiced,
        external=(source, external_id),
    )
    print_id(run(issued), json=json)


@app.command("void")
def void(invoice: Invoice) -> None:
    """Void an invoice. What was paid on it is unused credit again."""
    from server.cli import invoice_admin

    typer.echo(run(invoice_admin.void(settings_from_environment(), invoice)))


@app.command("write-off")
def write_off(
    invoice: Invoice,
    amount: Annotated[
        str | None, typer.Option(help="The amount, as 12.50 (default: all that is due).")
    ] = None,
    description: Annotated[
        str | None, typer.Option(help="What the client reads in the account history.")
    ] = None,
    external_id: External = None,
    source: Source = SOURCE,
    json: Json = False,
) -> None:
    """Give up an amount due. Print the id of the entry in the account history."""
    from server.cli import invoice_admin

    entered = invoice_admin.write_off(
        settings_from_environment(), invoice, amount, description, (source, external_id)
    )
    print_id(run(entered), json=json)


@app.command("adjust")
def adjust(
    invoice: Invoice,
    amount: Annotated[str, typer.Option(help="The amount to add, as 12.50, or as -12.50.")],
    description: Annotated[str, typer.Option(help="The reason, as the client reads it.")],
    external_id: External = None,
    source: Source = SOURCE,
    json: Json = False,
) -> None:
    """Change what an invoice bills. Print the id of the entry in the account history."""
    from server.cli import invoice_admin

    entered = invoice_admin.adjust(
        settings_from_environment(), invoice, amount, description, (source, external_id)
    )
    print_id(run(entered), json=json)


@app.command("list")
def listed(client: Client, json: Json = False) -> None:
    """List a client's invoices, the oldest first: id, number, dates, total, amount due."""
    from server.cli import invoice_admin

    invoices = run(invoice_admin.list_invoices(settings_from_environment(), client))
    if json:
        typer.echo(json_.dumps(invoices, ensure_ascii=False, indent=2))
        return
    for invoice in invoices:
        typer.echo(invoice_admin.invoice_line(invoice))
