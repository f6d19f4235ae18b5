"""Commands without a usable database: each ends with a sentence and exit code 1."""

import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from models.ids import new_id
from server.cli import main as cli
from tests.support.portal import KEY

COMMANDS = {
    "serve": ("serve",),
    "migrate": ("migrate",),
    "token": ("token", "list"),
    "given": ("token", "create", "--name", "Grafana", "--practice", f"pra_{new_id()}"),
    "practice": (
        *("practice", "create", "--name", "x", "--time-zone", "UTC"),
        *("--currency", "USD", "--locale", "en-US"),
    ),
    "client": ("client", "list", "--practice", f"pra_{new_id()}"),
    "invoice": ("invoice", "void", f"inv_{new_id()}"),
    "contact": ("contact", "list", f"cli_{new_id()}"),
    "refund": ("refund", f"pmt_{new_id()}"),
    "load": ("load-demo",),
    "document": ("document", f"inv_{new_id()}", "--out", "invoice.pdf"),
}


def ends(command: str, database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a command that has to fail, and return its message."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("TOKEN_KEY", KEY)
    monkeypatch.setenv("SANDBOX", "true")
    result = CliRunner().invoke(cli.app, COMMANDS[command])
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    (line,) = result.output.strip().splitlines()
    return line


@pytest.mark.parametrize("command", COMMANDS)
def test_missing_folder_is_reported_in_a_sentence(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = ends(command, f"sqlite:///{tmp_path}/nowhere/portal.sqlite", monkeypatch)
    assert said == ("The database of DATABASE_URL can't be used now: unable to open database file.")


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "migrate"])
def test_database_that_was_not_migrated_is_reported_in_a_sentence(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = ends(command, f"sqlite:///{tmp_path}/portal.sqlite", monkeypatch)
    assert said == "The database is not up to date: run `portal migrate` first."


def test_column_of_a_later_migration_is_reported_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/portal.sqlite")
    monkeypatch.setenv("TOKEN_KEY", KEY)
    assert CliRunner().invoke(cli.app, ["migrate"]).exit_code == 0
    with closing(sqlite3.connect(tmp_path / "portal.sqlite")) as conn:
        conn.execute("ALTER TABLE practice RENAME COLUMN days_until_due TO days")
    said = ends("practice", f"sqlite:///{tmp_path}/portal.sqlite", monkeypatch)
    assert said == "The database is not up to date: run `portal migrate` first."


@pytest.mark.parametrize("command", ["serve", "migrate", "token"])
def test_unreachable_server_is_reported_in_a_sentence(
    command: str, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        said = ends(command, f"postgresql://portal:secret@127.0.0.1:{port}/portal", monkeypatch)
        assert "refused" in said or "Connect call failed" in said
        assert "secret" not in said
    said = ends(command, "postgresql://portal@nowhere.invalid/portal", monkeypatch)
    assert "can't be used now" in said
    missing = urlsplit(postgres_url)._replace(path="/nowhere").geturl()
    assert 'database "nowhere" does not exist' in ends(command, missing, monkeypatch)
    stranger = urlsplit(postgres_url)._replace(netloc="stranger@").geturl()
    assert 'role "stranger" does not exist' in ends(command, stranger, monkeypatch)
