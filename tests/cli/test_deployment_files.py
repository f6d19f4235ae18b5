"""The files for an image, for compose and for systemd name what the portal has."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server import secret_files
from server.cli import main as cli
from server.settings import Settings
from tests.conftest import do_without
from tests.support import postgres
from tests.support.demo_server import PROJECT

FOLDER = PROJECT / "packaging"
UNITS = sorted((FOLDER / "systemd").glob("*.service"))
# Variables of PostgreSQL, its programs and the proxy, and those of our own scripts.
OTHERS = frozenset(
    """POSTGRES_PASSWORD_FILE POSTGRES_INITDB_ARGS PGSERVICEFILE PGSERVICE PORTAL_HOST
    BACKUP_DAYS""".split()
)
# Programs of PostgreSQL that its scripts call.
CLIENTS = ("psql", "pg_dump", "pg_restore")
PORTAL = re.compile(r"(?:/opt/portal/bin/)?portal")
# A service of compose.yaml, and the lines that are indented below it.
SERVICE = re.compile(r"^  (\w+):\n((?:    .*\n|\n)+)", re.MULTILINE)


def known_variables() -> frozenset[str]:
    files = (f"{name}{secret_files.SUFFIX}" for name in secret_files.SECRETS)
    return frozenset(name.upper() for name in (*Settings.model_fields, *files))


def variables(path: Path) -> set[str]:
    """Return the environment variables that a file sets."""
    text = path.read_text()
    if path.suffix == ".yaml":
        return set(re.findall(r"^ {6}([A-Z][A-Z0-9_]+):", text, re.MULTILINE))
    if path.suffix == ".env":
        return set(re.findall(r"^(\w+)=", text, re.MULTILINE))
    lines = re.findall(r"^Environment=(.*)$", text, re.MULTILINE)
    return {word.partition("=")[0] for line in lines for word in shlex.split(line)}


def compose() -> dict[str, str]:
    """Return the text of each service of compose.yaml."""
    text = (FOLDER / "compose.yaml").read_text()
    return dict(SERVICE.findall(text.partition("\nservices:\n")[2].partition("\nnetworks:")[0]))


def portal_commands() -> Iterator[tuple[str, ...]]:
    """Yield the arguments of each command line that starts `portal`."""
    for unit in UNITS:
        for line in re.findall(r"^Exec(?:Start|StartPre)=(.*)$", unit.read_text(), re.MULTILINE):
            program, *arguments = shlex.split(line)
            if PORTAL.fullmatch(program):
                yield tuple(arguments)
    instructions = (FOLDER / "Containerfile").read_text()
    (listed,) = re.findall(r"^CMD (\[.*\])$", instructions, re.MULTILINE)
    assert 'ENTRYPOINT ["portal"]' in instructions
    yield tuple(tomllib.loads(f"arguments = {listed}")["arguments"])
    for words in re.findall(r"^    command: \[(.*)\]$", "".join(compose().values()), re.MULTILINE):
        yield tuple(words.split(", "))


@pytest.mark.parametrize(
    "path",
    [FOLDER / "compose.yaml", FOLDER / "systemd" / "portal.env", *UNITS],
    ids=lambda path: path.name,
)
def test_every_variable_is_a_setting(path: Path) -> None:
    found = variables(path)
    assert found
    assert found - OTHERS <= known_variables()


@pytest.mark.parametrize("command", sorted(map(shlex.join, {*portal_commands()})))
def test_every_command_has_these_options(command: str) -> None:
    found = CliRunner().invoke(cli.app, [*shlex.split(command), "--help"])
    assert found.exit_code == 0, found.output
    assert f" {command.split()[0]} [OPTIONS]" in found.output


def test_the_owner_of_the_tables_is_for_migrations_only() -> None:
    owners = {name for name, text in compose().items() if "DATABASE_OWNER_URL" in text}
    assert owners == {"migrate"}
    units = {unit.stem for unit in UNITS if "DATABASE_OWNER_URL" in unit.read_text()}
    assert units == {"portal-migrate"}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_each_credential_of_a_unit_is_read_by_a_setting(unit: Path) -> None:
    text = unit.read_text()
    loaded = set(re.findall(r"^LoadCredential=(\w+):/etc/portal/secrets/\1$", text, re.MULTILINE))
    assert loaded == set(re.findall(r"%d/(\w+)", text))


def test_services_of_the_portal_can_write_nothing_and_gain_no_right() -> None:
    text = (FOLDER / "compose.yaml").read_text()
    common = text.partition("x-portal: &portal\n")[2].partition("\nservices:")[0]
    assert {"read_only: true", "cap_drop: [ALL]", 'user: "10001:10001"'} <= {
        line.strip() for line in common.splitlines()
    }
    services = compose()
    assert set(services) == {"database", "migrate", "portal", "proxy"}
    assert all("<<: *portal" in services[name] for name in ("migrate", "portal"))
    secrets = set(re.findall(r"^  (\w+): \{file: secrets/\1\}$", text, re.MULTILINE))
    assert set(re.findall(r"/run/secrets/(\w+)", text)) <= secrets


def test_units_are_valid_and_confined() -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not here")
    units = [*UNITS, *sorted((FOLDER / "systemd").glob("*.timer"))]
    verified = subprocess.run(
        [analyze, "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    # Their programs are not installed here.
    said = [line for line in verified.stderr.splitlines() if "is not executable" not in line]
    assert said == []


# -- scripts ---------------------------------------------------------------------------------------


@pytest.mark.faults
def test_secrets_roles_tables_and_backup_of_a_new_server(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Runs the three scripts and `portal migrate` on a server of the test's own."""
    programs = postgres.find()
    if programs is None or not all((programs / name).exists() for name in CLIENTS):
        do_without(request.config, "PostgreSQL", postgres.HOW_TO_GET)
    secrets = tmp_path / "secrets"
    with postgres.started(programs) as server:
        place = {"PATH": f"{programs}:{os.environ['PATH']}", "PGHOST": str(server.folder)}
        script("make-secrets.sh", secrets, **place)
        made = {path.name: path.read_text() for path in secrets.iterdir()}
        given = {"stripe_api_key", "stripe_webhook_secret", "smtp_url"}
        assert {name for name, content in made.items() if not content} == given
        assert all(path.stat().st_mode & 0o007 == 0 for path in secrets.iterdir())
        script("make-secrets.sh", secrets, **place)
        assert made == {path.name: path.read_text() for path in secrets.iterdir()}
        passwords = {
            f"{name.upper()}_FILE": str(secrets / name)
            for name in ("owner_password", "portal_password")
        }
        script("make-roles.sh", **place, **passwords)
        urls = {
            name.upper(): made[name].strip().replace("@database/", "@/") + f"?host={server.folder}"
            for name in ("database_url", "database_owner_url")
        }
        keys = {"TOKEN_KEY_FILE": str(secrets / "token_key"), "SANDBOX": "true"}
        portal("migrate", **place, **urls, **keys)
        portal("check", **place, **urls, **keys)
        service = tmp_path / "pg_service"
        owner = f"user=portal_owner\npassword={made['owner_password']}"
        service.write_text(f"[backup]\nhost={server.folder}\ndbname=portal\n{owner}")
        connection = {"PGSERVICEFILE": str(service), "PGSERVICE": "backup"}
        backups = tmp_path / "backups"
        backups.mkdir()
        (old := backups / "portal-2020-01-01T000000Z.dump").touch()
        os.utime(old, (0, 0))
        script("backup.sh", backups, **place, **connection)
        (dump,) = backups.iterdir()
        listed = run(["pg_restore", "--list", str(dump)], **place)
        assert "TABLE DATA public ledger_entry" in listed
        # Nothing is removed after a backup that failed.
        os.utime(dump, (0, 0))
        with pytest.raises(subprocess.CalledProcessError):
            script("backup.sh", backups, **place, **{**connection, "PGSERVICE": "none"})
        assert dump.exists()


def script(name: str, *arguments: Path, **environment: str) -> str:
    return run(["sh", str(FOLDER / name), *map(str, arguments)], **environment)


def portal(*arguments: str, **environment: str) -> str:
    return run([sys.executable, "-m", "server", *arguments], **environment)


def run(command: list[str], **environment: str) -> str:
    done = subprocess.run(
        command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return done.stdout
