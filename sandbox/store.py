"""Stripe's storage: objects by account, answers by idempotency key, events to be sent.

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
from sandbox.version import VERSION

Object = dict[str, Any]

# Owns a page's tokens until they are used, since a page here doesn't name its account.
PAGE = "page"
# The platform's own account, in which a call without the header Stripe-Account is made.
OWN = "own"
# Holds the facts of an object that Stripe never shows, as a card's number.
PRIVATE = "private"
NO_PRIVATE: Object = {}
# Kinds that have no `livemode`.
WITHOUT_MODE = ("refund", "mail")

SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
    account TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, number INTEGER NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (account, id));
CREATE INDEX IF NOT EXISTS object_kind ON object (account, kind, number);
CREATE TABLE IF NOT EXISTS answer (
    account TEXT NOT NULL, key TEXT NOT NULL, asked TEXT NOT NULL, status INTEGER NOT NULL,
    body TEXT NOT NULL, created REAL NOT NULL, PRIMARY KEY (account, key));
CREATE TABLE IF NOT EXISTS delivery (
    event TEXT PRIMARY KEY, body TEXT NOT NULL, tries INTEGER NOT NULL, due REAL NOT NULL);
CREATE TABLE IF NOT EXISTS setting (
    name TEXT NOT NULL, subject TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name, subject));
CREATE TABLE IF NOT EXISTS journal (
    number INTEGER PRIMARY KEY, account TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
    key TEXT, params TEXT NOT NULL, version TEXT, status INTEGER NOT NULL, answer TEXT NOT NULL);
"""


class Store:
    """A store in a file. `path` may be ":memory:"; `now` is the clock, in seconds."""

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
        """Make an object, with an id unless the facts have one."""
        common = {"id": f"{prefix}_{secrets.token_hex(12)}", "object": kind}
        mode = {} if kind in WITHOUT_MODE else {"livemode": False}
        return self.add(account, common | mode | {"created": int(self.now())} | facts)

    def add(self, account: str, made: Object) -> Object:
        """Keep a new object as it is."""
        count = self.connection.execute("SELECT coalesce(max(number), 0) + 1 FROM object")
        row = (account, made["id"], made["object"], count.fetchone()[0], json.dumps(made))
        self.connection.execute("INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?)", row)
        return made

    def find(self, account: str, kind: str, id_: str, param: str | None = None) -> Object:
        """Return an object of this kind, or raise Stripe's error where the account has none.

        `param` is the parameter that named it; without one the call's address did.
        """
        row = self.connection.execute(
            "SELECT body FROM object WHERE account = ? AND id = ? AND kind = ?",
            (account, id_, kind),
        ).fetchone()
        if row is None:
            raise missing(kind, id_, param)
        found: Object = json.loads(row[0])
        return found

    def has(self, account: str, kind: str, id_: str) -> bool:
        row = self.connection.execute(
            "SELECT 1 FROM object WHERE account = ? AND id = ? AND kind = ?", (account, id_, kind)
        )
        return row.fetchone() is not None

    def adopt(self, account: str, kind: str, id_: str) -> None:
        """Give an object that a page made to the account that uses it."""
        self.connection.execute(
            "UPDATE object SET account = ? WHERE account = ? AND id = ? AND kind = ?",
            (account, PAGE, id_, kind),
        )

    def save(self, account: str, changed: Object) -> None:
        row = (json.dumps(changed), account, changed["id"])
        self.connection.execute("UPDATE object SET body = ? WHERE account = ? AND id = ?", row)

    def all(self, kind: str, account: str | None = None) -> list[Object]:
        """Return the objects of a kind, the oldest first; of all accounts, without one."""
        rows = self.connection.execute(
            "SELECT body FROM object WHERE kind = ? AND (? IS NULL OR account = ?) ORDER BY number",
            (kind, account, account),
        )
        return [json.loads(body) for (body,) in rows]

    def number(self, account: str, kind: str, id_: str, param: str) -> int:
        """Return an object's place in the order of creation. Raises as `find` does."""
        self.find(account, kind, id_, param)
        row = self.connection.execute(
            "SELECT number FROM object WHERE account = ? AND id = ?", (account, id_)
        )
        return int(row.fetchone()[0])

    def newest(self, kind: str, account: str, below: int | None = None) -> Iterator[Object]:
        """Yield an account's objects of a kind, the newest first, from below a number on."""
        rows = self.connection.execute(
            "SELECT body FROM object WHERE account = ? AND kind = ? AND (? IS NULL OR number < ?)"
            " ORDER BY number DESC",
            (account, kind, below, below),
        )
        return (json.loads(body) for (body,) in rows)

    def next(self, kind: str, account: str, above: int) -> Iterator[Object]:
        """Yield an account's objects of a kind, the oldest first, from above a number on."""
        rows = self.connection.execute(
            "SELECT body FROM object WHERE account = ? AND kind = ? AND number > ? ORDER BY number",
            (account, kind, above),
        )
        return (json.loads(body) for (body,) in rows)

    # -- idempotency keys --------------------------------------------------------------------------

    def answer(self, account: str, key: str, since: float) -> tuple[str, int, str] | None:
        """Return the request's hash, status and body of an answer saved since then."""
        self.connection.execute("DELETE FROM answer WHERE created <= ?", (since,))
        found: tuple[str, int, str] | None = self.connection.execute(
            "SELECT asked, status, body FROM answer WHERE account = ? AND key = ?", (account, key)
        ).fetchone()
        return found

    def keep_answer(self, account: str, key: str, asked: str, status: int, body: str) -> None:
        row = (account, key, asked, status, body, self.now())
        self.connection.execute("INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?, ?, ?)", row)

    # -- events ------------------------------------------------------------------------------------

    def tell(self, account: str, type_: str, about: Object) -> Object:
        """Make an event, waiting to be sent. `about` is shown as it is now."""
        facts: dict[str, Any] = {
            "api_version": VERSION,
            "data": {"object": shown(about)},
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": type_,
        }
        if account != OWN:
            facts["account"] = account
        event = self.new(account, "event", "evt", **facts)
        self.tell_again(event)
        return event

    def tell_again(self, event: Object) -> None:
        """Send an event once more, whether it was taken or not."""
        row = (event["id"], json.dumps(event), 0, time.time())
        self.connection.execute("INSERT OR REPLACE INTO delivery VALUES (?, ?, ?, ?)", row)

    def waiting(self) -> dict[str, int]:
        """Return the events that nobody has taken yet, and how often each was tried."""
        return dict(self.connection.execute("SELECT event, tries FROM delivery"))

    def is_waiting(self, event: str) -> bool:
        """Return whether nobody has taken an event yet."""
        row = self.connection.execute("SELECT 1 FROM delivery WHERE event = ?", (event,))
        return row.fetchone() is not None

    def due(self, now: float) -> list[tuple[str, str, int]]:
        """Return the events to be sent by now: id, body, how often it was tried."""
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

    def put_off_all(self, types: str, until: float) -> None:
        """Put off all events that wait, of types as SQL's LIKE has them."""
        self.connection.execute(
            "UPDATE delivery SET due = ? WHERE json_extract(body, '$.type') LIKE ?", (until, types)
        )

    # -- settings ----------------------------------------------------------------------------------

    def set(self, name: str, value: Any, subject: str = "") -> None:
        """Keep a setting of the double's own, for everything or for one subject."""
        row = (name, subject, json.dumps(value))
        self.connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?, ?)", row)

    def setting(self, name: str, default: Any = None, subject: str = "") -> Any:
        row = self.connection.execute(
            "SELECT value FROM setting WHERE name = ? AND subject = ?", (name, subject)
        ).fetchone()
        return default if row is None else json.loads(row[0])

    # -- journal -----------------------------------------------------------------------------------

    def write_down(self, entry: Object) -> None:
        """Add a call and its answer to the journal."""
        self.connection.execute(
            "INSERT INTO journal (account, method, path, key, params, version, status, answer)"
            " VALUES (:account, :method, :path, :key, :params, :version, :status, :answer)",
            entry | {"params": json.dumps(entry["params"])},
        )

    def journal(self) -> list[Object]:
        """Return all calls with their answers, the oldest first."""
        rows = self.connection.execute(
            "SELECT account, method, path, key, params, version, status, answer FROM journal"
            " ORDER BY number"
        )
        names = ("account", "method", "path", "key", "params", "version", "status", "answer")
        entries = [dict(zip(names, row, strict=True)) for row in rows]
        return [
            entry | {"params": json.loads(entry["params"]), "answer": json.loads(entry["answer"])}
            for entry in entries
        ]


def shown(made: Object) -> Object:
    """Return an object as Stripe shows it, without its private facts."""
    return {name: value for name, value in made.items() if name != PRIVATE}


def private(made: Object) -> Object:
    """Return the private facts of an object."""
    known: Object = made.get(PRIVATE, NO_PRIVATE)
    return known
