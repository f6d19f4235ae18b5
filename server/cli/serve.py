"""The command `portal serve`: checks before the start, and uvicorn."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import typer
import uvicorn

from billing.recovery.identity import store_identity
from models import database
from server.cli.checks.check import CheckOutcome, CheckResult, run_checks
from server.cli.checks.registry import AT_START
from server.cli.console import run
from server.cli.single_process import sole_server
from server.command_errors import CommandError
from server.http.serving import allow_files, uvicorn_options
from server.logs import log_config
from server.metrics.snapshot import FOLDER
from server.settings import Settings
from server.traces import refuse_without_packages

log = logging.getLogger("portal")


def serve(settings: Settings, host: str, port: int, processes: int) -> None:
    """Serve until an interruption. Raise CommandError if the server must not start."""
    refuse_without_packages()
    with sole_server(settings.database_url, processes), shared_metrics(processes):
        run(run_checks(AT_START, settings, warn_or_stop))
        run(store_identity_of(settings.database_url))
        allow_files(settings.http_connections)
        if processes == 1:
            stay_on_hangup()
        shutdown_s = settings.shutdown_timeout_s
        uvicorn.run(
            "server.app:app_of_environment",
            factory=True,
            host=host,
            port=port,
            workers=processes,
            access_log=False,
            log_config=log_config(settings.log_format),
            **uvicorn_options(settings.connection_limits, settings.public_url, shutdown_s),
        )


def stay_on_hangup() -> None:
    """Have a single process log SIGHUP and go on. With several, uvicorn replaces them in turn."""
    if threading.current_thread() is not threading.main_thread():
        # As uvicorn, which then handles no signal either.
        return
    words = "SIGHUP replaces processes one after the other: serve with --processes 2 or more."
    signal.signal(signal.SIGHUP, lambda *_: log.warning(words))


async def store_identity_of(url: str) -> None:
    """Store the database's identity at its first start, so that a restored copy shows."""
    async with database.open_engine(url) as engine:
        await store_identity(engine)


@contextmanager
def shared_metrics(processes: int) -> Iterator[None]:
    """Give several processes a folder for their numbers, while they serve."""
    if processes == 1:
        yield
        return
    with TemporaryDirectory(prefix="portal-metrics-") as folder:
        os.environ[FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER]


def warn_or_stop(_: str, result: CheckResult) -> None:
    """Print a warning for the operator. Raise CommandError if the server must not start."""
    if result.prevents_start:
        raise CommandError(result.sentence)
    if result.outcome in (CheckOutcome.WARNING, CheckOutcome.FAILED):
        typer.secho(result.sentence, fg="yellow", err=True)
