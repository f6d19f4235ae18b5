"""Servers that die or stop at a given point: `python -m
tests.payments.crash_tests.crashing_server`."""

import datetime as dt
import os
import signal
from typing import Any

import uvicorn
from sqlalchemy import event

from billing.payments import background, reconcile
from billing.payments.context import PaymentContext
from server.app import app
from server.settings import Settings
from tests.support.process_pool import check_schema_for, forks

OFTEN_S, SELDOM_S = 0.2, 3600


def serve(port: int, settings: dict[str, Any], later_s: float, die: str | None, by: int) -> None:
    """Serve with a clock ahead by `later_s`; at the point `die`, send this process the
    signal `by`.
    """
    ahead = dt.timedelta(seconds=later_s)
    # A server that will be stopped may not hold the lock of a background transaction at that time.
    reconcile.EVERY_S = background.INBOX_EVERY_S = SELDOM_S if by == signal.SIGSTOP else OFTEN_S
    application = app(Settings(**settings), now=lambda: dt.datetime.now(dt.UTC) + ahead)
    if die is not None:
        arm(application.state.payment_context, application.state.background_context, die, by)
    uvicorn.run(application, host="127.0.0.1", port=port, log_level="critical")


# -- points at which a server dies -----------------------------------------------------------------

# A transaction is recognised by the tables that it writes.
WRITES = {
    "T1": ("INSERT INTO payment ", ""),
    "T2": ("UPDATE payment SET", "stripe_id="),
    "T3": ("UPDATE payment SET", "failure_reason="),
    "inbox": ("INSERT INTO stripe_event", ""),
}
CALLS = {"create": "/payment_intents", "confirm": "/confirm", "cancel": "/cancel"}


def arm(context: PaymentContext, behind: PaymentContext, die: str, by: int) -> None:
    """Kill or stop this process at a point, such as "before T2" or "after confirm"."""

    def passing(point: str) -> None:
        if point == die:
            os.kill(os.getpid(), by)

    watch_commits(context, passing)
    watch_commits(behind, passing)
    # Both payment contexts share one client of Stripe.
    watch_calls(context, passing)


def watch_commits(context: PaymentContext, passing: Any) -> None:
    engine = context.engine.sync_engine
    writing: dict[int, str] = {}
    commit = engine.dialect.do_commit

    def begun(connection: Any) -> None:
        # A previous transaction on the connection may have been rolled back without a commit.
        writing.pop(id(connection.connection), None)

    def wrote(connection: Any, _: Any, statement: str, *__: Any) -> None:
        for name, (beginning, part) in WRITES.items():
            if statement.startswith(beginning) and part in statement:
                writing[id(connection.connection)] = name

    def committed(connection: Any) -> None:
        name = writing.pop(id(connection), "")
        passing(f"before {name}")
        commit(connection)
        passing(f"after {name}")

    event.listen(engine, "begin", begun)
    event.listen(engine, "before_cursor_execute", wrote)
    engine.dialect.do_commit = committed  # type: ignore[assignment,method-assign]


def watch_calls(context: PaymentContext, passing: Any) -> None:
    for http in (context.stripe.http, context.stripe.slow_http):
        request = http.request_async

        async def sent(method: str, url: str, *given: Any, request: Any = request) -> Any:
            name = next(
                (n for n, end in CALLS.items() if method == "post" and url.endswith(end)), ""
            )
            passing(f"before {name}")
            answer = await request(method, url, *given)
            passing(f"after {name}")
            return answer

        http.request_async = sent  # type: ignore[assignment,method-assign]


if __name__ == "__main__":
    forks(serve, warm=check_schema_for)
