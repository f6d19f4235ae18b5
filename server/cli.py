"""The command line, `portal`."""

import datetime as dt
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from billing.gateway import Forbidden, Rejected, Unknown
from billing.payments import PaymentsMode
from graph.schema import schema, sdl
from models import database, migrations
from models.database import WrongUrl
from models.serving_role import refuse_unfit_role
from server import (
    contact_commands,
    explaining,
    loading,
    migrating,
    operating,
    operators,
    practice_check,
    printing,
    sandboxed,
    session_commands,
    stripe_check,
    stripe_demo,
    token_commands,
)
from server import demo as demonstration
from server.app import at_stripe
from server.exclusive import AlreadyServed, sole_server
from server.http.serving import TooFewFiles, allow_files, options
from server.private_files import make_private_database
from server.secret_files import UnreadableSecret
from server.settings import Settings, WrongSettings
from server.terminal import NOT_MIGRATED, PlainGroup, run, settings_or_stop, stop

app = typer.Typer(
    cls=PlainGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The GraphQL server behind a therapy practice's client billing portal.",
)
app.add_typer(token_commands.app, name="token")
app.add_typer(contact_commands.app, name="contact")
app.add_typer(session_commands.app, name="sessions")
payments = typer.Typer(no_args_is_help=True, help="Payments that need the operator.")
app.add_typer(payments, name="payment")

CONTRACT = Path("schema.graphql")


@app.callback()
def begin(
    operator: Annotated[
        str | None,
        typer.Option(
            "--as",
            envvar=operators.VARIABLE,
            help="The operator's name for the audit log, instead of the system user's.",
        ),
    ] = None,
) -> None:
    """Note the operator's name before any command."""
    operators.named.set(operator)


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
    settings = settings_or_stop()
    url, timeout_s = settings.database_url, settings.statement_timeout_s
    run(database.refuse_unfit(url, settings.waits, timeout_s))
    run(refuse_unready(url))
    try:
        with sole_server(url, processes):
            run(check_payments(settings))
            say_about_mail(settings)
            run(say_about_practices(settings))
            allow_files(settings.http_connections)
            shutdown_s = settings.shutdown_timeout_s
            uvicorn.run(
                "server.app:served",
                factory=True,
                host=host,
                port=port,
                workers=processes,
                access_log=access_log,
                **options(settings.connection_limits, settings.public_url, shutdown_s),
            )
    except (AlreadyServed, TooFewFiles) as error:
        stop(str(error))


@app.command()
def migrate() -> None:
    """Bring the database's tables up to date."""
    settings = settings_or_stop()
    make_private_database(settings.database_url)
    try:
        typer.echo(run(migrating.upgraded(settings)))
    except migrations.UnknownRevision as error:
        stop(str(error))


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
    try:
        account = stripe_demo.from_environment() if at_stripe else None
        demonstration.serve(port, database, json, account)
    except WrongUrl as error:
        stop(f"--database {error}.")
    except (
        AlreadyServed,
        demonstration.NotADemo,
        migrations.UnknownRevision,
        stripe_demo.NoTestAccount,
        UnreadableSecret,
    ) as error:
        stop(str(error))


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
    try:
        loading.load(settings_or_stop(), clients, practices, seed)
    except loading.NotLoaded as error:
        stop(str(error))


@app.command("schema")
def print_contract(
    check: Annotated[
        bool, typer.Option("--check", help="Only check that schema.graphql is up to date.")
    ] = False,
) -> None:
    """Print the GraphQL schema, as in schema.graphql."""
    contract = sdl(schema())
    if not check:
        sys.stdout.write(contract)
    elif not CONTRACT.exists() or CONTRACT.read_text() != contract:
        stop("schema.graphql is out of date: run `portal schema > schema.graphql`.")


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A GraphQL document.")],
    variables: Annotated[str, typer.Option(help="Its variables, as a JSON object.")] = "{}",
    operation: Annotated[
        str | None, typer.Option(help="The operation to run, if there are several.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(envvar="PORTAL_TOKEN", help="Run as the bearer of this token.")
    ] = None,
    analyze: Annotated[
        bool,
        typer.Option("--analyze", help="Run the statement, and show the database's measurements."),
    ] = False,
) -> None:
    """Show the SQL statement of a document, and the database's plan for it."""
    settings = settings_or_stop()
    explained = explaining.explain(
        settings, file.read_text(), variables, operation, token, analyze=analyze
    )
    try:
        typer.echo(run(explained))
    except explaining.NotExplained as error:
        stop(str(error))


# -- documents -------------------------------------------------------------------------------------


@app.command()
def document(
    id: Annotated[str, typer.Argument(help="The document: inv_…, stm_…, sbl_… or rct_…")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
) -> None:
    """Write a document as PDF: the same file as first given out, if it was."""
    try:
        typer.echo(run(printing.write(settings_or_stop(), id, out)))
    except printing.NoDocument as error:
        stop(str(error))


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
    day = since.date() if since else None
    try:
        typer.echo(run(printing.set_logo(settings_or_stop(), practice, file, day)))
    except printing.NoLogo as error:
        stop(str(error))


# -- payments --------------------------------------------------------------------------------------


@app.command()
def refund(
    payment: Annotated[str, typer.Argument(help="The payment: pmt_…")],
    amount: Annotated[
        str | None, typer.Option(help="The amount, as 12.50 (default: all that is left).")
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
    done = operating.refund(settings_or_stop(), payment, amount, key, typer.echo)
    try:
        typer.echo(run(done))
    except operating.NotDone as error:
        stop(str(error))


@payments.command("end")
def end_payment(
    payment: Annotated[str, typer.Argument(help="The payment: pmt_…")],
    because: Annotated[str, typer.Option(help="The reason, which is stored with the payment.")],
) -> None:
    """End a payment in an account that Stripe gives no access to, as after deauthorisation.

    If Stripe answers, the payment is given up as a client would do it.
    """
    try:
        typer.echo(run(operating.end(settings_or_stop(), payment, because)))
    except operating.NotDone as error:
        stop(str(error))


@app.command()
def reconcile(
    since: Annotated[
        dt.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The first day (default: 90 days ago)."),
    ] = None,
) -> None:
    """List the differences between ledger and Stripe, without changes. Exit with 1 if any."""
    try:
        lines = run(operating.differences(settings_or_stop(), since))
    except operating.NotDone as error:
        stop(str(error))
    for line in lines:
        typer.echo(line)
    if lines:
        raise typer.Exit(1)
    typer.echo("The ledger agrees with Stripe.")


# -- checks before serving -------------------------------------------------------------------------


async def check_payments(settings: Settings) -> None:
    """Warn about the destination of payments. Stop if it is wrong, or if Stripe rejects the key."""
    try:
        await stripe_check.check(settings)
    except WrongSettings as wrong:
        stop(str(wrong))
    if settings.mode is PaymentsMode.SANDBOX:
        typer.secho(sandboxed.WARNING, fg="yellow", err=True)
        return
    stripe = at_stripe(settings)
    try:
        await stripe.verify()
    except (Forbidden, Rejected):
        stop("STRIPE_API_KEY: Stripe rejects this key, or it may not take payments.")
    except Unknown:
        typer.secho("Stripe doesn't answer now; the portal starts anyway.", err=True)
    finally:
        await stripe.close()


def say_about_mail(settings: Settings) -> None:
    if settings.post is None:
        warning = "No SMTP_URL is set, so no mail is sent and signing in by e-mail is off."
        typer.secho(warning, fg="yellow", err=True)


async def say_about_practices(settings: Settings) -> None:
    """Warn about practices with unknown settings. All others can be served."""
    for sentence in await practice_check.wrong_settings(settings):
        typer.secho(sentence, fg="yellow", err=True)


async def refuse_unready(url: str) -> None:
    """Stop where the role of the URL may not serve, or tables are not up to date."""
    async with database.opened(url) as engine:
        await refuse_unfit_role(engine)
        if not await migrations.is_current(engine):
            stop(NOT_MIGRATED)
