"""Servers and commands of the campaign, forked from a warmed process.

`python -m tests.payments.campaign.worker` is the process; `servers.py` and `refunding.py` ask it
for forks.
"""

import ctypes
import datetime as dt
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import uvicorn

from billing.payment_methods import detach
from billing.payments import background, daily_comparison, reconcile, webhook_inbox
from billing.stripe import api
from models import leases
from server.app import app
from server.cli import main as cli
from server.settings import Settings
from tests.payments.campaign.crashes import Danger, arm
from tests.support.process_pool import check_schema_for, forks

# Of Linux's prctl(2).
PR_SET_PDEATHSIG = 1
# Background work runs so often that it meets payments under way.
OFTEN_S = 0.6
UNTOUCHED, PATIENCE = dt.timedelta(seconds=10), dt.timedelta(seconds=20)
AGAIN = dt.timedelta(seconds=6)
# Seconds that a call of Stripe may take, and that the lease of a dead process lasts.
TIMEOUT_S, WITHIN_S, SPARE_S = 2.5, 10.0, 2.0
QUEUES = (webhook_inbox.QUEUE, reconcile.QUEUE, detach.QUEUE, daily_comparison.QUEUE)


def hurry(*, danger: bool) -> None:
    """Shorten the waits of this process, so that a campaign takes minutes and not days.

    Without faults, work may take as long as usual, since the machine may be slow.
    """
    reconcile.EVERY_S = background.INBOX_EVERY_S = OFTEN_S
    reconcile.UNTOUCHED, reconcile.PATIENCE = UNTOUCHED, PATIENCE
    daily_comparison.RETRY = AGAIN
    if danger:
        api.TIMEOUT_S = api.CONFIRM_TIMEOUT_S = TIMEOUT_S
        leases.SPARE_S = SPARE_S
        for queue in QUEUES:
            object.__setattr__(queue, "within_s", WITHIN_S)


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends for any reason."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def begin(kind: str, danger: dict[str, Any] | None, **given: Any) -> None:
    end_with_parent()
    hurry(danger=danger is not None)
    if danger is not None:
        arm(Danger(**danger))
    what: Callable[..., None] = serve if kind == "server" else command
    what(**given)


def serve(port: int, settings: dict[str, Any], later_s: float, printed: str) -> None:
    """Serve, with a clock that is ahead by `later_s`."""
    to_file(printed)
    ahead = dt.timedelta(seconds=later_s)
    application = app(Settings(**settings), now=lambda: dt.datetime.now(dt.UTC) + ahead)
    uvicorn.run(application, host="127.0.0.1", port=port, log_level="error")


def command(arguments: list[str], environment: dict[str, str], printed: str) -> None:
    """Run `portal` with these arguments, and print its exit code as the last line."""
    to_file(printed)
    os.environ.update(environment)
    code = 0
    try:
        cli.app(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    os.write(1, f"\nexit {code}\n".encode())
    os._exit(code)


def to_file(printed: str) -> None:
    out = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(out, descriptor)


if __name__ == "__main__":
    # A fork would not have a thread.
    assert threading.active_count() == 1
    forks(begin, warm=check_schema_for)
