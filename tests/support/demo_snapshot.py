"""A demo's databases as copies, to which a running demo can be set back.

A server has only plans in its memory and no data (docs/architecture.md, Caches), so it goes on with
the rows of the copy.
"""

import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from demo.many import NEVER
from tests.support.demo_server import Demo

PORTAL, SANDBOX = "portal.sqlite", "sandbox.sqlite"
IDLE_WITHIN_S = 60
# Rows that the background work of a process will still change.
WAITING = {
    SANDBOX: "SELECT count(*) FROM delivery",
    PORTAL: """SELECT (SELECT count(*) FROM stripe_event WHERE handled_at IS NULL)
        + (SELECT count(*) FROM sign_in_request WHERE done_at IS NULL)""",
}


@dataclass(frozen=True)
class Snapshot:
    """The files of a demo in a folder of their own."""

    folder: Path

    def copy_to(self, folder: Path) -> None:
        """Make the home of a demo with these files in a folder."""
        shutil.copytree(self.folder, folder / ".demo")

    def restore(self, demo: Demo) -> None:
        """Set a running demo back. No page of it may be open."""
        home = demo.folder / ".demo"
        wait_until_idle(home)
        for name in WAITING:
            copy_database(self.folder / name, home / name)


def taken(demo: Demo, folder: Path) -> Snapshot:
    """Copy the files of a running demo to a new folder."""
    home = demo.folder / ".demo"
    folder.mkdir()
    shutil.copy(home / "tokens.json", folder)
    for name in WAITING:
        copy_database(home / name, folder / name)
    postpone_comparison(folder / PORTAL)
    return Snapshot(folder)


def postpone_comparison(portal: Path) -> None:
    """Let no daily comparison with Stripe run in a demo that is set back.

    One that began before would compare the payments of Stripe then with the rows of now, find that
    some are lost, and stop all payments.
    """
    with closing(sqlite3.connect(portal)) as conn, conn:
        conn.execute("UPDATE practice SET compare_after = ?", (f"{NEVER:%Y-%m-%d %H:%M:%S.%f}",))


def wait_until_idle(home: Path) -> None:
    """Wait until neither an event nor a mail is under way, which would come after the copy."""
    until = time.monotonic() + IDLE_WITHIN_S
    while any(counted(home / name, statement) for name, statement in WAITING.items()):
        if time.monotonic() > until:
            raise AssertionError("the demo has background work that does not end")
        time.sleep(0.02)


def counted(file: Path, statement: str) -> int:
    with closing(sqlite3.connect(file, timeout=IDLE_WITHIN_S)) as conn:
        return int(conn.execute(statement).fetchone()[0])


def copy_database(source: Path, target: Path) -> None:
    """Copy a database over another one, each of which a process may have open."""
    with (
        closing(sqlite3.connect(source)) as conn,
        closing(sqlite3.connect(target, timeout=IDLE_WITHIN_S)) as copy,
    ):
        conn.backup(copy)
