"""`portal check`: each thing that the portal depends on, working and broken."""

import datetime as dt
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from urllib.parse import quote

import pylopdf_fonts_zh_cn
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import delete

from billing.documents import typesetting
from billing.encryption import FieldKeys
from models import Client, Letterhead, Practice, database
from models.ids import new_id
from server.cli.checks import clocks
from server.cli.checks.registry import AT_START, EVERY_CHECK
from tests.support import postgres
from tests.support.checks import change, results, run
from tests.support.mail_server import PASSWORD, SENDER, USER, mail_server
from tests.support.portal import Portal

# Several checks are about the database.
pytestmark = pytest.mark.twins(1)
NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
FIELD_KEY = Fernet.generate_key().decode()
AT_STRIPE = {"payments", "stripe-key", "webhooks", "accounts"}


# -- the whole -------------------------------------------------------------------------------------


async def test_each_check_has_one_line_and_nothing_fails(configured: Portal) -> None:
    printed = await run("check")
    assert (printed.exit_code, printed.stderr) == (0, "")
    lines = [line.split(maxsplit=2) for line in printed.stdout.splitlines()]
    assert [name for _, name, _ in lines] == ["settings", *(one.name for one in EVERY_CHECK)]
    assert all(sentence.endswith(".") for _, _, sentence in lines)
    made = await results()
    assert [outcome for outcome, _, _ in lines] == [made.outcome(name) for name in made.checks]
    assert {name for name in made.checks if made.outcome(name) == "warning"} == {"payments", "mail"}
    skipped = {name for name in made.checks if made.outcome(name) == "skipped"}
    assert skipped >= {*AT_STRIPE - {"payments"}, "mail-server"}


@pytest.mark.parametrize(
    ("name", "value"), [("TOKEN_KEY", None), ("TOKEN_KEY", "short"), ("DATABASE_URL", "mysql://x")]
)
async def test_wrong_setting_fails_and_skips_everything_else(
    configured: Portal, monkeypatch: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    made = await results()
    assert made.failed == {"settings"}
    assert (await run("check")).exit_code == 1
    assert made.sentence("settings").startswith(name)
    assert {made.outcome(one.name) for one in EVERY_CHECK} == {"skipped"}


async def test_server_and_check_say_the_same(
    configured: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence that stops the server is the one of the check."""
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: pytest.fail("the server started"))
    monkeypatch.delenv("SANDBOX")
    made, start = await results(), await run("serve")
    assert made.failed == {"payments"}
    assert made.checks["payments"]["preventsStart"] is True
    assert (start.exit_code, start.stderr.strip()) == (1, made.sentence("payments"))
    assert "payments" in {one.name for one in AT_START}


# -- database --------------------------------------------------------------------------------------


async def test_database_that_is_not_there(
    configured: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_sqlite = configured.url.startswith("sqlite")
    absent = "sqlite:///absent.sqlite" if is_sqlite else "postgresql://u:secret@127.0.0.1:1/x"
    monkeypatch.setenv("DATABASE_URL", absent)
    made = await results()
    assert made.failed == {"database"}
    assert "secret" not in str(made.body)
    assert {made.outcome(name) for name in ("role", "revision", "practices", "fonts")} == {
        "skipped"
    }
    # A check creates nothing.
    assert not (tmp_path / "absent.sqlite").exists()


async def test_database_without_tables(
    new_database: NewDatabase, configured: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with new_database() as url:
        async with database.open_engine(url) as engine, engine.connect():
            pass  # SQLite creates the file.
        monkeypatch.setenv("DATABASE_URL", url)
        made = await results()
    assert made.failed == {"revision"}
    assert "portal migrate" in made.sentence("revision")


async def test_database_of_a_newer_release(configured: Portal) -> None:
    await set_revision(configured, "9999")
    try:
        made = await results()
    finally:
        await set_revision(configured, None)
    assert made.failed == {"revision"}
    assert "which this release does not know" in made.sentence("revision")


async def set_revision(portal: Portal, revision: str | None) -> None:
    from models import migrations

    version = revision or migrations.head()
    await execute(portal, f"UPDATE alembic_version SET version_num = '{version}'")  # noqa: S608 - it is ours


async def execute(portal: Portal, statement: str) -> None:
    """Execute a statement as the owner of the tables."""
    if portal.url.startswith("sqlite"):
        async with portal.engine.begin() as conn:
            await conn.exec_driver_sql(statement)
    else:
        await postgres.execute(postgres.as_owner(portal.url), statement)


async def test_disabled_trigger_of_versions(
    configured: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    if configured.url.startswith("sqlite"):
        async with configured.engine.connect() as conn:
            named = "SELECT sql FROM sqlite_master WHERE name = 'client_version_update'"
            again = str((await conn.exec_driver_sql(named)).scalar_one())
        disabled = "DROP TRIGGER client_version_update"
    else:
        again = "ALTER TABLE client ENABLE ALWAYS TRIGGER client_versions"
        disabled = "ALTER TABLE client DISABLE TRIGGER client_versions"
    await execute(configured, disabled)
    try:
        made = await results()
        monkeypatch.setenv("ANSWER_CACHE_MB", "0")
        without_kept_answers = await results()
    finally:
        await execute(configured, again)
    assert made.failed == {"triggers"}
    assert made.checks["triggers"]["preventsStart"] is True
    assert "changed on client:" in made.sentence("triggers")
    assert without_kept_answers.failed == set()


async def test_replica_that_is_none(configured: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The primary itself; tests/fault_injection/test_replicas.py has a real one."""
    assert (await results()).outcome("replica") == "skipped"
    monkeypatch.setenv("REPLICA_URL", configured.url)
    made = await results()
    if configured.url.startswith("sqlite"):
        assert made.sentence("settings").startswith("REPLICA_URL is of PostgreSQL")
        return
    assert made.outcome("replica") == "warning"
    assert "target attribute requirement" in made.sentence("replica")


async def test_role_that_owns_the_tables(
    configured: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    if configured.url.startswith("sqlite"):
        made = await results()
        assert made.sentence("role").startswith("SQLite has no roles")
        return
    monkeypatch.setenv("DATABASE_URL", postgres.as_owner(configured.url))
    made = await results()
    assert made.failed == {"role"}
    assert f"role {postgres.OWNER}, which owns the table" in made.sentence("role")
    assert "more." in made.sentence("role")
    assert made.outcome("revision") == "skipped"


async def test_role_that_may_not_connect(
    configured: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    if configured.url.startswith("sqlite"):
        return
    monkeypatch.setenv("DATABASE_URL", postgres.of_role(configured.url, "nobody_at_all"))
    made = await results()
    assert made.failed == {"database"}
    start = await run("serve")
    assert (start.exit_code, start.stderr.strip()) == (1, made.sentence("database"))


# -- practices and documents -----------------------------------------------------------------------


async def test_practice_with_an_unknown_time_zone(configured: Portal) -> None:
    await change(configured, Practice, time_zone="Mars/Olympus")
    try:
        made = await results()
    finally:
        await change(configured, Practice, time_zone="America/New_York")
    assert made.failed == {"practices"}
    assert "Mars/Olympus" in made.sentence("practices")
    assert made.checks["practices"]["preventsStart"] is False


async def test_tax_ids_that_the_key_does_not_decrypt(
    configured: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypted = FieldKeys([FIELD_KEY]).encrypted("12-3456789")
    ours = {"practice_id": configured.practice_id, "id": new_id(), "name": "Harbor Counseling"}
    await configured.insert(Letterhead, ours | {"tax_id_encrypted": encrypted})
    try:
        made = await results()
        assert made.failed == {"tax-ids"}
        assert "FIELD_KEY decrypts 0 of 1 tax ids" in made.sentence("tax-ids")
        monkeypatch.setenv("FIELD_KEY", Fernet.generate_key().decode())
        assert (await results()).failed == {"tax-ids"}
        monkeypatch.setenv("FIELD_KEY", f"{Fernet.generate_key().decode()},{FIELD_KEY}")
        assert (await results()).failed == set()
    finally:
        async with configured.engine.begin() as conn:
            await conn.execute(delete(Letterhead))


async def test_names_in_a_script_that_no_font_has(
    configured: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typesetting, "SYSTEM_FONTS", False)
    assert (await results()).outcome("fonts") == "ok"
    await change(configured, Client, name="欧阳")
    try:
        assert (await results()).outcome("fonts") == "warning"
        monkeypatch.setenv("FONT_PATHS", str(Path(pylopdf_fonts_zh_cn.__file__).parent))
        assert (await results()).outcome("fonts") == "ok"
    finally:
        await change(configured, Client, name="Ana Prieto")
    monkeypatch.setenv("FONT_PATHS", "/no/such/folder")
    made = await results()
    assert made.failed == {"fonts"}
    assert "/no/such/folder" in made.sentence("fonts")


# -- mail ------------------------------------------------------------------------------------------


async def test_mail_server_that_answers_gets_no_mail(
    configured: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_FROM", SENDER)
    with mail_server() as mailbox:
        monkeypatch.setenv("SMTP_URL", mailbox.url)
        made = await results()
        assert (made.outcome("mail"), made.outcome("mail-server")) == ("ok", "ok")
        assert "without TLS and needs no login" in made.sentence("mail-server")
        assert mailbox.letters == []
    made = await results()
    assert made.failed == {"mail-server"}


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
async def test_password_that_the_mail_server_refuses(
    configured: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without STARTTLS the password is not sent at all."""
    monkeypatch.setenv("MAIL_FROM", SENDER)
    with mail_server(wants_password=True) as mailbox:
        url = f"smtp://{USER}:{quote(PASSWORD, safe='')}@localhost:{mailbox.port}"
        monkeypatch.setenv("SMTP_URL", url)
        made = await results()
        assert made.failed == {"mail-server"}
        assert PASSWORD not in str(made.body)
        assert mailbox.passwords == []


# -- clock -----------------------------------------------------------------------------------------


async def test_clock_that_differs_from_the_database(
    configured: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = dt.timedelta(hours=1)
    monkeypatch.setattr(clocks, "utc_now", lambda: dt.datetime.now(dt.UTC) + hour)
    made = await results()
    if configured.url.startswith("sqlite"):
        assert made.outcome("clock") == "skipped"
        return
    assert made.failed == {"clock"}
    assert "3,600 s ahead of the clock of the database" in made.sentence("clock")
