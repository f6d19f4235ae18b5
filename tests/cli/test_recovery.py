"""Backup, restore and recovery of an SQLite database on the command line, beside the sandbox."""

import asyncio
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from sqlalchemy import insert, update
from typer.testing import CliRunner, Result

from models import Practice, PrintedDocument, database
from models.ids import new_id
from server.cli import main as cli
from tests.support.empty_databases import prepare
from tests.support.portal import KEY, practice

URL = "sqlite:///portal.db"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a database with a practice in the current folder, and no server that would go on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("TOKEN_KEY", KEY)
    monkeypatch.setenv("SANDBOX", "true")
    monkeypatch.setattr(uvicorn, "run", lambda *_, **__: None)

    async def fill() -> None:
        await prepare(URL)
        async with database.open_engine(URL) as engine, engine.begin() as conn:
            account = {"stripe_account": "acct_sandbox_1"}
            await conn.execute(insert(Practice).values(practice(new_id()) | account))

    asyncio.run(fill())
    return tmp_path


def portal(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


def clear(folder: Path) -> None:
    """Move the database away, with all files that SQLite keeps beside it."""
    for file in folder.glob("portal.db*"):
        file.unlink()


def rename(name: str) -> None:
    async def write() -> None:
        async with database.open_engine(URL) as engine, engine.begin() as conn:
            await conn.execute(update(Practice).values(name=name))

    asyncio.run(write())


def names(file: Path) -> list[Any]:
    with closing(sqlite3.connect(file)) as conn:
        return conn.execute("SELECT name FROM practice").fetchall()


def test_restored_file_is_served_after_its_recovery(folder: Path) -> None:
    assert portal("serve").exit_code == 0
    made = portal("backup", "kept.db")
    assert (made.exit_code, made.stderr) == (0, "")
    assert stat.S_IMODE((folder / "kept.db").stat().st_mode) == 0o600
    rename("Later")
    taken = portal("restore", "kept.db")
    assert (taken.exit_code, "move the old database away" in taken.stderr) == (1, True)
    clear(folder)
    assert portal("restore", "kept.db").exit_code == 0
    assert names(folder / "portal.db") == [("Harbor Counseling",)]
    assert stat.S_IMODE((folder / "portal.db").stat().st_mode) == 0o600
    refused = portal("serve")
    assert (refused.exit_code, "was restored from a backup" in refused.stderr) == (1, True)
    recovered = portal("recover")
    assert recovered.exit_code == 0
    assert "Receipts go on after 1000: the backup's last was 0" in recovered.stdout
    assert portal("serve").exit_code == 0
    assert "nothing was changed" in portal("recover").stdout
    assert "Receipts go on after 2000" in portal("recover", "--restored").stdout


@pytest.mark.rest
def test_moved_file_keeps_its_numbers(folder: Path) -> None:
    assert portal("backup", "moved.db").exit_code == 0
    clear(folder)
    assert portal("restore", "moved.db").exit_code == 0
    assert portal("serve").exit_code == 1
    assert portal("recover", "--moved").exit_code == 0
    assert portal("serve").exit_code == 0
    assert "nothing was changed" in portal("recover").stdout


def test_backup_never_replaces_a_file(folder: Path) -> None:
    (folder / "kept.db").write_text("something else")
    made = portal("backup", "kept.db")
    assert (made.exit_code, "never replaces a file" in made.stderr) == (1, True)
    assert (folder / "kept.db").read_text() == "something else"
    assert portal("backup", "nowhere/kept.db").exit_code == 1


def test_backup_has_what_was_committed_while_it_was_written(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "portal.db")) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("UPDATE practice SET name = 'Committed'")
        writer.commit()
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE practice SET name = 'Under way'")
        assert portal("backup", "kept.db").exit_code == 0
    assert names(folder / "kept.db") == [("Committed",)]


def test_damaged_copy_is_not_kept(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "portal.db")) as conn:
        conn.execute(f"DROP TRIGGER {trigger_of(conn, PrintedDocument.__tablename__)}")
        conn.commit()
    made = portal("backup", "kept.db")
    assert (made.exit_code, "The copy is damaged" in made.stderr) == (1, True)
    assert [file.name for file in folder.iterdir() if "kept" in file.name] == []


def trigger_of(conn: sqlite3.Connection, table: str) -> str:
    query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?"
    (name, *_) = conn.execute(query, [table]).fetchone()
    return str(name)


def test_postgresql_is_backed_up_by_its_own_programs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://portal@db.example/portal")
    for command in ("backup", "restore"):
        (folder / "given.db").write_text("")
        said = portal(command, "given.db" if command == "restore" else "other.db")
        assert (said.exit_code, "its own programs" in said.stderr) == (1, True)
