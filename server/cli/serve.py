"""The command `portal serve`: checks before the start, and uvicorn."""

import typer
import uvicorn

from billing.payments.status import PaymentsMode
from billing.stripe import Forbidden, Rejected, Unknown
from models import database, migrations
from models.serving_role import refuse_unfit_role
from server import practice_check, sandbox, stripe_check
from server.cli.console import NOT_MIGRATED, run
from server.cli.single_process import sole_server
from server.command_errors import CommandError
from server.http.serving import allow_files, uvicorn_options
from server.settings import Settings
from server.stripe_client import stripe_client

UNKNOWN_KEY = "STRIPE_API_KEY: Stripe rejects this key, or it may not take payments."
NO_ANSWER = "Stripe doesn't answer now; the portal starts anyway."
NO_MAIL = "No SMTP_URL is set, so no mail is sent and signing in by e-mail is off."


def serve(settings: Settings, host: str, port: int, processes: int, *, access_log: bool) -> None:
    """Serve until an interruption. Raise CommandError if the server must not start."""
    url, timeout_s = settings.database_url, settings.statement_timeout_s
    run(database.refuse_unfit(url, settings.waits, timeout_s))
    run(refuse_unready(url))
    with sole_server(url, processes):
        run(check_payments(settings))
        if settings.post is None:
            warn(NO_MAIL)
        for sentence in run(practice_check.wrong_settings(settings)):
            # All other practices can be served.
            warn(sentence)
        allow_files(settings.http_connections)
        shutdown_s = settings.shutdown_timeout_s
        uvicorn.run(
            "server.app:app_of_environment",
            factory=True,
            host=host,
            port=port,
            workers=processes,
            access_log=access_log,
            **uvicorn_options(settings.connection_limits, settings.public_url, shutdown_s),
        )


async def refuse_unready(url: str) -> None:
    """Raise an error if the role of the URL may not serve, or if the tables are not up to date."""
    async with database.open_engine(url) as engine:
        await refuse_unfit_role(engine)
        if not await migrations.is_up_to_date(engine):
            raise CommandError(NOT_MIGRATED)


async def check_payments(settings: Settings) -> None:
    """Warn about the destination of payments. Raise CommandError if it is wrong, or if Stripe
    rejects the key.
    """
    await stripe_check.check_stripe(settings)
    if settings.mode is PaymentsMode.SANDBOX:
        warn(sandbox.WARNING)
        return
    stripe = stripe_client(settings)
    try:
        await stripe.verify()
    except (Forbidden, Rejected):
        raise CommandError(UNKNOWN_KEY) from None
    except Unknown:
        warn(NO_ANSWER)
    finally:
        await stripe.close()


def warn(sentence: str) -> None:
    typer.secho(sentence, fg="yellow", err=True)
