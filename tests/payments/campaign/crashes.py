"""Places where a process may die or stop: before and after each commit that writes money's rows,
and before and after each call of Stripe.

`arm` puts them into this process. What happens is drawn from the seed, and written to a file
before the signal is sent.
"""

import os
import random
import re
import signal
from dataclasses import dataclass
from typing import Any

import stripe
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.engine.default import DefaultDialect

WRITE = re.compile(
    r"(?:INSERT INTO|UPDATE|DELETE FROM) "
    r"(payment|claim|refund|dispute|payment_method|card_setup|detachment|stripe_\w+|practice"
    r"|client|ledger_entry)\b"
)


@dataclass(frozen=True)
class Danger:
    """Shares of the passed places at which a process is killed or stopped, and the log file.

    `inside`: the share of stops between a write and its commit.
    """

    seed: str
    log: str
    killed: float
    stopped: float
    inside: float


class Crasher:
    """The draw, at each place, of whether the process continues."""

    def __init__(self, danger: Danger) -> None:
        self.danger, self.random = danger, random.Random(danger.seed)
        self.log = os.open(danger.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def passing(self, place: str, *, is_inside: bool = False) -> None:
        danger, drawn = self.danger, self.random.random()
        stopped = danger.inside if is_inside else danger.stopped
        if drawn < danger.killed:
            self.signal(signal.SIGKILL, "killed", place)
        elif drawn < danger.killed + stopped:
            kind = "stopped inside a transaction" if is_inside else "stopped"
            self.signal(signal.SIGSTOP, kind, place)

    def signal(self, number: signal.Signals, kind: str, place: str) -> None:
        os.write(self.log, f"{kind}\t{place}\n".encode())
        os.kill(os.getpid(), number)


def arm(danger: Danger) -> None:
    crasher = Crasher(danger)
    watch_commits(crasher)
    watch_calls(crasher)


def watch_commits(crasher: Crasher) -> None:
    """Watch all engines of this process. A transaction is named by the tables it wrote."""
    written: dict[int, set[str]] = {}
    commit: Any = DefaultDialect.do_commit
    rollback: Any = DefaultDialect.do_rollback

    def wrote(connection: Any, _: Any, statement: str, *__: Any) -> None:
        if match := WRITE.match(statement):
            written.setdefault(id(connection.connection.dbapi_connection), set()).add(match[1])

    def committed(self: Any, connection: Any) -> None:
        tables = written.pop(id(connection.dbapi_connection), None)
        if tables is None:
            commit(self, connection)
            return
        place = "+".join(sorted(tables))
        crasher.passing(f"before the commit of {place}", is_inside=True)
        commit(self, connection)
        crasher.passing(f"after the commit of {place}")

    def rolled_back(self: Any, connection: Any) -> None:
        written.pop(id(getattr(connection, "dbapi_connection", connection)), None)
        rollback(self, connection)

    event.listen(Engine, "before_cursor_execute", wrote)
    DefaultDialect.do_commit = committed  # type: ignore[method-assign]
    DefaultDialect.do_rollback = rolled_back  # type: ignore[method-assign]


def watch_calls(crasher: Crasher) -> None:
    request = stripe.HTTPXClient.request_async

    async def sent(self: Any, method: str, url: str, *given: Any) -> Any:
        place = f"{method.upper()} {re.sub(r'_[0-9A-Za-z]{8,}', '', url.partition('/v1/')[2])}"
        place = place.partition("?")[0]
        crasher.passing(f"before {place}")
        answer = await request(self, method, url, *given)
        crasher.passing(f"after {place}")
        return answer

    stripe.HTTPXClient.request_async = sent  # type: ignore[assignment,method-assign]
