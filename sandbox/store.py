"""Stripe's storage: objects by account, responses by idempotency key, and events to send.

It is a file of its own, which several processes may share: each request is one transaction.
"""

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.errors import no_such_object
from sandbox.version import VERSION

Object = dict[str, Any]

# The account that holds a page's tokens until they are used, since a page doesn't name one.
PAGE = "page"
# The platform's own account, used by calls without the header Stripe-Account.
OWN = "own"
# The field for facts that Stripe never shows, such as a card's number.
PRIVATE = "private"
NO_PRIVATE: Object = {}
# The kinds without `livemode`.
WITHOUT_MODE = ("refund", "mail", "balance_transaction")

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
        """Create an object, with a new id unless the facts contain one."""
        common = {"id": f"{prefix}_{secrets.token_hex(12)}", "object": kind}
        mode = {} if kind in WITHOUT_MODE else {"livemode": False}
        return self.add(account, common | mode | {"created": int(self.now())} | facts)

    def add(self, account: str, made: Object) -> Object:
        """Store a new object unchanged."""
        count = self.connection.execute("SELECT coalesce(max(number), 0) + 1 FROM object")
        row = (account, made["id"], made["object"], count.fetchone()[0], json.dumps(made))
        self.connection.execute("INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?)", row)
        return made

    def find(self, account: str, kind: str, id_: str, param: str | None = None) -> Object:
        """Return an object of this kind, or raise Stripe's error if the account has none.

        `param` is the parameter that named it, or None if the call's address did.
        """
        row = self.connection.execute(
            "SELECT body FROM object WHERE account = ? AND id = ? AND kind = ?",
            (account, id_, kind),
        ).fetchone()
        if row is None:
            raise no_such_object(kind, id_, param)
        found: Object = json.loads(row[0])
        return found

    def has(self, account: str, kind: str, id_: str) -> bool:
        row = self.connection.execute(
            "SELECT 1 FROM object WHERE account = ? AND id = ? AND kind = ?", (account, id_, kind)
        )
        return row.fetchone() is not None

    def adopt(self, account: str, kind: str, id_: str) -> None:
        """Move an object that a page created to the account that uses it."""
        self.connection.execute(
            "UPDATE object SET account = ? WHERE account = ? AND id = ? AND kind = ?",
            (account, PAGE, id_, kind),
        )

    def save(self, account: str, changed: Object) -> None:
        row = (json.dumps(changed), account, changed["id"])
        self.connection.execute("UPDATE object SET body = ? WHERE account = ? AND id = ?", row)

    def all(self, kind: str, account: str | None = None) -> list[Object]:
        """Return the objects of a kind, the oldest first, of one account or of all."""
        rows = self.connection.execute(
            "SELECT body FROM object WHERE kind = ? AND (? IS NULL OR account = ?) ORDER BY number",
            (kind, account, account),
        )
        return [json.loads(body) for (body,) in rows]

    def number(self, account: str, kind: str, id_: str, param: str) -> int:
        """Return an object's position in the order of creation. Raise as `find` does."""
        self.find(account, kind, id_, param)
        row = self.connection.execute(
            "SELECT number FROM object WHERE account = ? AND id = ?", (account, id_)
        )
        return int(row.fetchone()[0])

    def newest(self, kind: str, account: str, below: int | None = None) -> Iterator[Object]:
        """Yield an account's objects of a kind below a number, the newest first."""
        rows = self.connection.execute(
            "SELECT body FROM object WHERE account = ? AND kind = ? AND (? IS NULL OR number < ?)"
            " ORDER BY number DESC",
            (account, kind, below, below),
        )
        return (json.loads(body) for (body,) in rows)

    def next(self, kind: str, account: str, above: int) -> Iterator[Object]:
        """Yield an account's objects of a kind above a number, the oldest first."""
        rows = self.connection.execute(
            "SELECT body FROM object WHERE account = ? AND kind = ? AND number > ? ORDER BY number",
            (account, kind, above),
        )
        return (json.loads(body) for (body,) in rows)

    # -- idempotency keys --------------------------------------------------------------------------

    def answer(self, account: str, key: str, since: float) -> tuple[str, int, str] | None:
        """Return the request's hash, status and body of a response stored since a time."""
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
        """Create an event to be sent, with the current state of `about`."""
        facts: dict[str, Any] = {
            "api_version": VERSION,
            "data": {"object": public_view(about)},
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
        """Send an event once more, whether it was accepted or not."""
        row = (event["id"], json.dumps(event), 0, time.time())
        self.connection.execute("INSERT OR REPLACE INTO delivery VALUES (?, ?, ?, ?)", row)

    def waiting(self) -> dict[str, int]:
        """Return the events that were not accepted yet, and the number of tries of each."""
        return dict(self.connection.execute("SELECT event, tries FROM delivery"))

    def is_waiting(self, event: str) -> bool:
        """Return whether an event was not accepted yet."""
        row = self.connection.execute("SELECT 1 FROM delivery WHERE event = ?", (event,))
        return row.fetchone() is not None

    def due(self, now: float) -> list[tuple[str, str, int]]:
        """Return the events to be sent by now: id, body, and number of tries."""
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
        """Postpone all waiting events with types that match an SQL LIKE pattern."""
        self.connection.execute(
            "UPDATE delivery SET due = ? WHERE json_extract(body, '$.type') LIKE ?", (until, types)
        )

    # -- settings ----------------------------------------------------------------------------------

    def set(self, name: str, value: Any, subject: str = "") -> None:
        """Store a setting of the double itself, for everything or for one subject."""
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


def public_view(made: Object) -> Object:
    """Return an object as Stripe shows it, without its private facts."""
    return {name: value for name, value in made.items() if name != PRIVATE}


def private(made: Object) -> Object:
    """Return the private facts of an object."""
    known: Object = made.get(PRIVATE, NO_PRIVATE)
    return known
