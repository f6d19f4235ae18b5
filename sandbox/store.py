"""What Stripe would keep: objects by account, answers by idempotency key, events to be sent.

A file of its own, which several processes may share: each request is one transaction.
"""

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.errors import missing

Object = dict[str, Any]

# Whose a page's tokens are until they are used: a page here doesn't say for whom it makes them.
PAGE = "page"

SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
    account TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, number INTEGER NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (account, id));
CREATE INDEX IF NOT EXISTS object_kind ON object (account, kind, number);
CREATE TABLE IF NOT EXISTS answer (
    account TEXT NOT NULL, key TEXT NOT NULL, asked TEXT NOT NULL, status INTEGER NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (account, key));
CREATE TABLE IF NOT EXISTS delivery (
    event TEXT PRIMARY KEY, body TEXT NOT NULL, tries INTEGER NOT NULL, due REAL NOT NULL);
CREATE TABLE IF NOT EXISTS journal (
    number INTEGER PRIMARY KEY, account TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
    key TEXT, params TEXT NOT NULL);
"""


class Store:
    """`path` is a file's, or ":memory:". `now` is what objects are made at, in seconds."""

    def __init__(self, path: str, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=20)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=NORMAL")
        self.connection.executescript(SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def close(self) -> None:
        self.connection.close()

    # -- objects -----------------------------------------------------------------------------------

    def new(self, account: str, kind: str, prefix: str, /, **facts: Any) -> Object:
        """A new object, with an id unless the facts have one."""
        common = {"id": f"{prefix}_{secrets.token_hex(12)}", "object": kind, "livemode": False}
        made = common | {"created": int(self.now())} | facts
        count = self.connection.execute("SELECT coalesce(max(number), 0) + 1 FROM object")
        row = (account, made["id"], kind, count.fetchone()[0], json.dumps(made))
        self.connection.execute("INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?)", row)
        return made

    def find(self, account: str, kind: str, id_: str) -> Object:
        """An object of this kind, or Stripe's error where the account has none."""
        row = self.connection.execute(
            "SELECT body FROM object WHERE account = ? AND id = ? AND kind = ?",
            (account, id_, kind),
        ).fetchone()
        if row is None:
            raise missing(kind, id_)
        found: Object = json.loads(row[0])
        return found

    def adopt(self, account: str, kind: str, id_: str) -> None:
        """An object that a page made becomes the account's that uses it."""
        self.connection.execute(
            "UPDATE object SET account = ? WHERE account = ? AND id = ? AND kind = ?",
            (account, PAGE, id_, kind),
        )

    def save(self, account: str, changed: Object) -> None:
        row = (json.dumps(changed), account, changed["id"])
        self.connection.execute("UPDATE object SET body = ? WHERE account = ? AND id = ?", row)

    def all(self, kind: str, account: str | None = None) -> list[Object]:
        """The objects of a kind, the oldest first; of all accounts, without one."""
        rows = self.connection.execute(
            "SELECT body FROM object WHERE kind = ? AND (? IS NULL OR account = ?) ORDER BY number",
            (kind, account, account),
        )
        return [json.loads(body) for (body,) in rows]

    # -- idempotency keys --------------------------------------------------------------------------

    def answer(self, account: str, key: str) -> tuple[str, int, str] | None:
        """What was asked under a key, and the status and body that were answered."""
        found: tuple[str, int, str] | None = self.connection.execute(
            "SELECT asked, status, body FROM answer WHERE account = ? AND key = ?", (account, key)
        ).fetchone()
        return found

    def keep_answer(self, account: str, key: str, asked: str, status: int, body: str) -> None:
        row = (account, key, asked, status, body)
        self.connection.execute("INSERT INTO answer VALUES (?, ?, ?, ?, ?)", row)

    # -- events ------------------------------------------------------------------------------------

    def tell(self, account: str, type_: str, about: Object) -> None:
        """An event, waiting to be sent."""
        facts: dict[str, Any] = {"type": type_, "data": {"object": about}}
        if account != "own":
            facts["account"] = account
        self.tell_again(self.new(account, "event", "evt", **facts))

    def tell_again(self, event: Object) -> None:
        """An event, sent once more, whether it was taken or not."""
        row = (event["id"], json.dumps(event), 0, time.time())
        self.connection.execute("INSERT OR REPLACE INTO delivery VALUES (?, ?, ?, ?)", row)

    def waiting(self) -> dict[str, int]:
        """Events that nobody has taken yet, and how often each was tried."""
        return dict(self.connection.execute("SELECT event, tries FROM delivery"))

    def due(self, now: float) -> list[tuple[str, str, int]]:
        """Events to be sent by now: id, body, how often it was tried."""
        rows = self.connection.execute(
            "SELECT event, body, tries FROM delivery WHERE due <= ? ORDER BY due LIMIT 20", (now,)
        )
        return rows.fetchall()

    def sent(self, event: str) -> None:
        self.connection.execute("DELETE FROM delivery WHERE event = ?", (event,))

    def put_off(self, event: str, until: float) -> None:
        self.connection.execute(
            "UPDATE delivery SET tries = tries + 1, due = ? WHERE event = ?", (until, event)
        )

    # -- what was sent here ------------------------------------------------------------------------

    def write_down(
        self, account: str, method: str, path: str, key: str | None, params: Object
    ) -> None:
        self.connection.execute(
            "INSERT INTO journal (account, method, path, key, params) VALUES (?, ?, ?, ?, ?)",
            (account, method, path, key, json.dumps(params)),
        )

    def journal(self) -> list[Object]:
        rows = self.connection.execute(
            "SELECT account, method, path, key, params FROM journal ORDER BY number"
        )
        names = ("account", "method", "path", "key")
        return [
            dict(zip(names, row[:4], strict=True)) | {"params": json.loads(row[4])} for row in rows
        ]
