"""The command line, `portal`."""

import datetime as dt
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from server.cli import (
    backup_commands,
    clients,
    clinicians,
    contacts,
    credits,
    imports,
    invoices,
    issue,
    keys,
    operator_name,
    payment_commands,
    practices,
    sessions,
    tokens,
    trusted_documents,
    webhooks,
)
from server.cli.console import PlainGroup, confirm, run, settings_from_environment, stop

app = typer.Typer(
    cls=PlainGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The GraphQL server behind a therapy practice's client billing portal.",
)
app.add_typer(practices.app, name="practice")
app.add_typer(clinicians.app, name="clinician")
app.add_typer(clients.app, name="client")
app.add_typer(contacts.app, name="contact")
app.add_typer(invoices.app, name="invoice")
app.add_typer(payment_commands.app, name="payment")
app.add_typer(credits.app, name="credit")
app.add_typer(tokens.app, name="token")
app.add_typer(sessions.app, name="sessions")
app.add_typer(issue.app, name="issue")
app.add_typer(keys.app, name="keys")
app.add_typer(imports.app, name="imports")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(trusted_documents.app, name="documents")
app.add_typer(backup_commands.app)

CONTRACT = Path("schema.graphql")


@app.callback()
def begin(
    operator: Annotated[
        str | None,
        typer.Option(
            "--as",
            envvar=operator_name.VARIABLE,
            help="The operator's name for the audit log, instead of the system user's.",
        ),
    ] = None,
) -> None:
    """Note the operator's name before any command."""
    operator_name.given_name.set(operator)


Port = Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")]


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Port = 8000,
    processes: Annotated[int, typer.Option(min=1, help="The number of serving processes.")] = 1,
    access_log: Annotated[bool, typer.Option(help="Log a line for each request.")] = True,
    page: Annotated[bool, typer.Option("--page", help="Also serve the portal page.")] = False,
) -> None:
    """Serve the API. Settings come from the environment; docs/operations.md lists them."""
    if page:
        # Each process reads its settings itself.
        os.environ["PORTAL_PAGE"] = "true"
    if not access_log:
        os.environ["REQUEST_LOG"] = "false"
    from server.cli import serve

    settings = settings_from_environment()
    serve.serve(settings, host, port, processes)


@app.command()
def check(
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Check everything that the portal depends on, a line each, without changes.

    The checks are of the settings, the database, its role, payments, mail, documents and the
    clock. No mail is sent. Exit with 1 if a check fails.
    """
    from server.cli import check

    if not run(check.check_everything(typer.echo, as_json=json)):
        raise typer.Exit(1)


@app.command()
def migrate(
    to: Annotated[
        str | None,
        typer.Option(help="A revision of this release, such as 0001, instead of the last one."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Take tables back without a question.")
    ] = False,
) -> None:
    """Bring the database's tables up to date, while the portal serves.

    With --to an earlier revision, take the tables back for an earlier release. What only the later
    tables hold is lost.
    """
    from server.cli import migrate

    settings = settings_from_environment()
    if to is not None and run(migrate.is_earlier(settings, to)):
        question = f"Take the tables back to revision {to}? What only later ones hold is lost."
        confirm(question, yes=yes)
    typer.echo(run(migrate.migrate(settings, to)))


@app.command()
def demo(
    port: Port = 8000,
    database: Annotated[
        str | None,
        typer.Option(help="The demo's database, instead of its own SQLite file."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Also write the URL and the tokens to this file.")
    ] = None,
    at_stripe: Annotated[
        bool, typer.Option("--stripe", help="Pay in the test account of STRIPE_API_KEY.")
    ] = False,
) -> None:
    """Serve invented practices on this machine, with a token for each kind of viewer."""
    from models.database import WrongUrl
    from server.cli import demo as demonstration
    from server.cli import demo_stripe

    account = demo_stripe.test_account() if at_stripe else None
    try:
        demonstration.serve_demo(port, database, json, account)
    except WrongUrl as error:
        stop(f"--database {error}.")


@app.command("load-demo")
def load_demo(
    clients: Annotated[int, typer.Option(min=1, help="The total number of clients.")] = 1000,
    practices: Annotated[int, typer.Option(min=1, help="The number of practices.")] = 5,
    seed: Annotated[int, typer.Option(help="The seed: another one gives other rows.")] = 1,
) -> None:
    """Fill a migrated, empty database with invented practices and clients, for measurements.

    Each client has about 25 rows of account history in the last two years. On the same day the
    same options give the same rows. After an interruption each practice is complete or absent.
    """
    from server.cli import load_demo

    load_demo.load_practices(settings_from_environment(), clients, practices, seed)


@app.command("demo-export")
def demo_export(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="The folder to write.")],
    clients: Annotated[int, typer.Option(min=1, max=99_999, help="The number of clients.")] = 220,
    last_day: Annotated[
        dt.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day of the export (default: today)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed: another one gives other records.")] = 1,
) -> None:
    """Write the reports of an invented practice as CSV files, to try `portal import` with.

    docs/import/mapping.toml maps these reports.
    """
    from demo.exports import InventedExport

    day = last_day or dt.datetime.now(dt.UTC)
    counted = InventedExport(day.date(), clients, seed).write(folder)
    for report, number in counted.items():
        typer.echo(f"{number:>9,}  {report}.csv")


@app.command("import")
def import_records(
    folder: Annotated[Path, typer.Argument(help="The folder or ZIP file with the CSV files.")],
    practice: Annotated[str, typer.Option(help="The practice: pra_…")],
    source: Annotated[
        str, typer.Option(help="The name of the other system, whose ids the records keep.")
    ] = "import",
    mapping: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A TOML file with the other system's files, headings, words and formats.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and enter everything, then roll it back.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    cards_are_not_ours: Annotated[
        bool,
        typer.Option(
            "--cards-are-not-ours",
            help="Enter payments by card that look like payments through the portal.",
        ),
    ] = False,
) -> None:
    """Import a practice's clients, sessions, invoices and payments, or nothing.

    The same files again change nothing. Exit with 1 if there are faults.
    """
    from billing.imports.report_json import as_json
    from server.cli import import_records as importing

    settings = settings_from_environment()
    with importing.progress_bar(sys.stderr, is_wanted=not json) as progress:
        command = importing.ImportCommand(
            folder, practice, source, dry_run, cards_are_not_ours, mapping, progress
        )
        report = run(command.run(settings))
    typer.echo(as_json(report) if json else "\n".join(importing.lines_of(report)))
    if report.fault_count:
        raise typer.Exit(1)


@app.command("schema")
def print_contract(
    check: Annotated[
        bool, typer.Option("--check", help="Only check that schema.graphql is up to date.")
    ] = False,
) -> None:
    """Print the GraphQL schema, as in schema.graphql."""
    from graph.schema import schema, sdl

    contract = sdl(schema())
    if not check:
        sys.stdout.write(contract)
    elif not CONTRACT.exists() or CONTRACT.read_text() != contract:
        stop("schema.graphql is out of date: run `portal schema > schema.graphql`.")


@app.command("scopes")
def print_scopes() -> None:
    """Print every field of the schema, with its scopes, costs and audit."""
    from graph.schema import schema
    from server.cli.field_list import field_lines

    typer.echo("\n".join(sorted(field_lines(schema()._schema))))


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A GraphQL document.")],
    variables: Annotated[str, typer.Option(help="Its variables, as a JSON object.")] = "{}",
    operation: Annotated[str | None, typer.Option(help="The operation, of several.")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="PORTAL_TOKEN", help="Run as the bearer of this token.")
    ] = None,
    analyze: Annotated[
        bool, typer.Option("--analyze", help="Run it, and show the database's measurements.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show the plan tree instead.")] = False,
) -> None:
    """Show the SQL statement of a document, and the database's plan for it."""
    from server.cli import explain

    if plan:
        typer.echo(explain.explain_tree(file.read_text(), variables, operation))
        return
    explained = explain.explain_operation(
        settings_from_environment(), file.read_text(), variables, operation, token, analyze=analyze
    )
    typer.echo(run(explained))


# -- documents -------------------------------------------------------------------------------------


@app.command()
def document(
    id: Annotated[str, typer.Argument(help="The document: inv_…, stm_…, sbl_… or rct_…")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
) -> None:
    """Write a document as PDF: the same file as first given out, if it was."""
    from server.cli import documents

    typer.echo(run(documents.write_pdf(settings_from_environment(), id, out)))


@app.command()
def logo(
    practice: Annotated[str, typer.Argument(help="The practice: pra_…")],
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="PNG, JPEG or SVG.")],
    since: Annotated[
        dt.datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="The first day of issue with the logo (default: today)."
        ),
    ] = None,
) -> None:
    """Set the logo of a practice's documents. Documents given out before stay unchanged."""
    from server.cli import logos

    day = since.date() if since else None
    typer.echo(run(logos.change_logo(settings_from_environment(), practice, file, day)))


# -- payments --------------------------------------------------------------------------------------


@app.command()
def refund(
    payment: Annotated[str, typer.Argument(help="The payment: pmt_…")],
    amount: Annotated[
        str | None, typer.Option(help="The amount, as 12.50 (default: all that is left).")
    ] = None,
    invoice: Annotated[
        str | None,
        typer.Option(
            help="The invoice that becomes due again: its number, or inv_…. The default amount is"
            " the part of the payment that was paid on it."
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="The refund's own key. The same key means the same refund, made once."),
    ] = None,
) -> None:
    """Refund a card payment, or a part of it.

    An interrupted refund is resumed by its printed key. A second refund of the same
    amount needs a key of its own.
    """
    from server.cli import payments

    settings = settings_from_environment()
    refund_ = payments.refund_by_operator(
        settings, payment, amount, key, typer.echo, invoice=invoice
    )
    typer.echo(run(refund_))


@app.command()
def verify(
    practice: Annotated[
        str | None, typer.Option(help="The only practice to verify, as pra_….")
    ] = None,
    roots: Annotated[
        bool, typer.Option("--roots", help="Only print the daily roots, to be kept elsewhere.")
    ] = False,
    known_roots: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Roots that were printed before."),
    ] = None,
) -> None:
    """Verify that the books are as they were written, without changes. Exit with 1 if not."""
    from server.cli import verify

    settings = settings_from_environment()
    if roots:
        run(verify.print_roots(settings, practice, typer.echo))
    elif run(verify.verify(settings, practice, known_roots, typer.echo)):
        raise typer.Exit(1)


@app.command()
def reconcile(
    since: Annotated[
        dt.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The first day (default: 90 days ago)."),
    ] = None,
) -> None:
    """List the differences between ledger and Stripe, without changes. Exit with 1 if any."""
    from server.cli import payments

    lines = run(payments.differences(settings_from_environment(), since))
    for line in lines:
        typer.echo(line)
    if lines:
        raise typer.Exit(1)
    typer.echo("The ledger agrees with Stripe.")
