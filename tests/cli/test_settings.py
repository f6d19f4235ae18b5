"""Settings as an operator writes them: values that could never match are refused with a
sentence.
"""

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from billing.public_urls import parse_public_url
from server import secret_files
from server.cli import main as cli
from server.cli.single_process import sole_server
from server.http.addresses import parse_host, parse_origin
from server.http.proxies import parse_proxies
from server.http.serving import TooFewFiles, allow_files
from server.sandbox import Sandbox
from server.settings import Settings, WrongSettings, from_environment
from tests.support.portal import KEY

KEYS = {
    "STRIPE_API_KEY": "sk_live_1",
    "STRIPE_PUBLISHABLE_KEY": "pk_live_1",
    "STRIPE_WEBHOOK_SECRET": "whsec_1",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///portal.sqlite")
    monkeypatch.setenv("TOKEN_KEY", KEY)
    return tmp_path


# -- addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("*", "*"),
        ("https://portal.example.com", "https://portal.example.com"),
        ("https://portal.example.com:443", "https://portal.example.com"),
        ("http://Portal.Example.com:80", "http://portal.example.com"),
        ("HTTPS://portal.example.com:8443", "https://portal.example.com:8443"),
        ("http://[2001:DB8::0:1]:3000", "http://[2001:db8::1]:3000"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
    ],
)
def test_origin_is_normalised_as_browsers_send_it(written: str, sent: str) -> None:
    assert parse_origin(written) == sent


@pytest.mark.parametrize(
    "written",
    ["portal.example.com", "null", "//portal.example.com", "https://portal.example.com/page",
     "https://*.example.com", "https://user@portal.example.com", "https://portal.example.com:port",
     "https://portal.example.com?x", "https://", "https://pörtal.example.com", "https://a b",
     "localhost:5173", "https://[::1", "https://portal..example.com"],
)  # fmt: skip
def test_invalid_origin_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_origin(written)


@pytest.mark.parametrize(
    ("written", "kept"),
    [("*", "*"), ("*.Example.com", "*.example.com"), ("api.example.com", "api.example.com"),
     ("portal_app", "portal_app"), ("10.0.0.1", "10.0.0.1"), ("::1", "[::1]"),
     ("[2001:DB8::1]", "[2001:db8::1]")],
)  # fmt: skip
def test_host_is_normalised(written: str, kept: str) -> None:
    assert parse_host(written) == kept


@pytest.mark.parametrize(
    "written",
    ["host:8443", "[::1]:8443", "https://api.example.com", "api.example.com/x", "a*.example.com",
     "**", "*.*.example.com", "-", "äpi.example.com", "api example.com", "*."],
)  # fmt: skip
def test_invalid_host_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_host(written)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://api.example.com/", "https://api.example.com"),
        ("https://API.example.com:443/portal/", "https://api.example.com/portal"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_public_url_is_https_or_this_machine(written: str, kept: str) -> None:
    assert parse_public_url(written) == kept


@pytest.mark.parametrize(
    "written",
    ["http://api.example.com", "http://10.0.0.1:8000", "http://localhost.example.com", "ftp://a",
     "api.example.com", "https://api.example.com?x", "https://u:p@api.example.com", "https://",
     'https://api.example.com/"', "https://api.example.com:99999"],
)  # fmt: skip
def test_other_public_urls_are_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_public_url(written)


@pytest.mark.parametrize("written", [["10.0.0.1/8"], ["proxy"], ["*", "10.0.0.1"], ["10.0.0.300"]])
def test_proxy_has_to_be_an_address_or_a_network(written: list[str]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_proxies(written)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ALLOWED_ORIGINS", "portal.example.com", "write https://portal.example.com"),
        ("ALLOWED_HOSTS", "api.example.com, host:8443", "without its port"),
        ("FORWARDED_ALLOW_IPS", "proxy.example", "does not appear to be an IPv4 or IPv6 network"),
        ("PUBLIC_URL", "http://api.example.com", "https://"),
        ("KEEP_ALIVE_S", "0", "KEEP_ALIVE_S: "),
    ],
)
def test_serve_refuses_a_setting_that_matches_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    result = CliRunner().invoke(cli.app, ["serve"])
    assert result.exit_code == 1
    assert result.stderr.startswith(name)
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_live_key_needs_an_https_public_url(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(WrongSettings, match="PUBLIC_URL begins with https://"):
        from_environment()
    monkeypatch.setenv("PUBLIC_URL", "https://api.example.com")
    assert from_environment().public_url == "https://api.example.com"


def test_limit_of_open_files_is_raised_to_the_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = [(1_024, 4_096)]
    monkeypatch.setattr("resource.getrlimit", lambda _: limits[-1])
    monkeypatch.setattr("resource.setrlimit", lambda _, new: limits.append(new))
    allow_files(500)
    assert limits == [(1_024, 4_096)]
    allow_files(2_000)
    assert limits[-1] == (2_200, 4_096)
    with pytest.raises(TooFewFiles, match=r"^HTTP_CONNECTIONS: .* 4096 files"):
        allow_files(4_000)


@pytest.mark.parametrize(
    ("database", "replica", "said"),
    [
        ("sqlite:///portal.sqlite", "postgresql://portal@replica/portal", "is of PostgreSQL"),
        ("postgresql://portal@db/portal", "sqlite:///portal.sqlite", "is of PostgreSQL"),
        ("postgresql://portal@db/portal", "postgresql://portal@one,two/portal", "one host"),
    ],
)
def test_replica_is_one_server_of_postgresql(
    folder: Path, monkeypatch: pytest.MonkeyPatch, database: str, replica: str, said: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REPLICA_URL", replica)
    with pytest.raises(WrongSettings, match=said):
        from_environment()


# -- secrets from files ----------------------------------------------------------------------------


def test_every_secret_may_be_in_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "TOKEN_KEY": "another key of enough characters of a file",
        "DATABASE_URL": "postgresql://portal:secret@db.example/portal",
        "DATABASE_OWNER_URL": "postgresql://owner:secret@db.example/portal",
        "REPLICA_URL": "postgresql://portal:secret@replica.example/portal",
        **KEYS,
        "SMTP_URL": "smtps://portal:secret@mail.example",
        "FIELD_KEY": "A" * 43 + "=",
        "METRICS_TOKEN": "a token of enough characters, of a file",
    }
    del secrets["STRIPE_PUBLISHABLE_KEY"]
    for name, value in secrets.items():
        (folder / name).write_text(f"{value}\n")
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(f"{name}_FILE", str(folder / name))
    for name, value in {"STRIPE_PUBLISHABLE_KEY": "pk_live_1", "MAIL_FROM": "a@b.example"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PUBLIC_URL", "https://api.example.com")
    settings = from_environment()
    assert {name.lower() for name in secrets} == secret_files.SECRETS
    assert settings.token_key == secrets["TOKEN_KEY"]
    assert settings.database_url == secrets["DATABASE_URL"]
    assert settings.database_owner_url == secrets["DATABASE_OWNER_URL"]
    assert settings.replica_url == secrets["REPLICA_URL"]
    assert settings.stripe_api_key is not None
    assert settings.stripe_api_key.get_secret_value() == "sk_live_1"
    assert [one.get_secret_value() for one in settings.stripe_webhook_secret] == ["whsec_1"]
    assert settings.smtp_url is not None
    assert settings.smtp_url.get_secret_value() == secrets["SMTP_URL"]
    assert [one.get_secret_value() for one in settings.field_key] == [secrets["FIELD_KEY"]]


def test_every_secret_setting_may_be_in_a_file() -> None:
    secret = {name for name, field in Settings.model_fields.items() if "Secret" in str(field)}
    assert secret <= secret_files.SECRETS
    # No other setting's name could be taken for a secret's file.
    taken = {f"{name}_file" for name in secret_files.SECRETS}
    assert taken.isdisjoint(Settings.model_fields)


@pytest.mark.parametrize(
    ("content", "beside", "said"),
    [
        (None, False, "TOKEN_KEY_FILE: secret can't be read: No such file or directory."),
        (b"\xff\xfe", False, "TOKEN_KEY_FILE: secret can't be read: it is not text."),
        (KEY.encode(), True, "TOKEN_KEY and TOKEN_KEY_FILE are both set: unset one of them."),
        (b"short\n", False, "TOKEN_KEY: "),
    ],
)
def test_file_without_a_secret_stops_with_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, beside: bool, said: str
) -> None:
    if content is not None:
        Path("secret").write_bytes(content)
    if not beside:
        monkeypatch.delenv("TOKEN_KEY")
    monkeypatch.setenv("TOKEN_KEY_FILE", "secret")
    result = CliRunner().invoke(cli.app, ["serve"])
    assert result.exit_code == 1
    assert result.stderr.startswith(said)


# -- files -----------------------------------------------------------------------------------------


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def test_database_files_are_readable_only_by_their_owner(folder: Path) -> None:
    assert CliRunner().invoke(cli.app, ["migrate"]).exit_code == 0
    sandbox = Sandbox("sandbox.sqlite")
    with sole_server("sqlite:///portal.sqlite"):
        modes = {path.name: mode(path) for path in folder.iterdir()}
    sandbox.store.close()
    assert set(modes) >= {"portal.sqlite", "portal.sqlite.lock", "sandbox.sqlite-wal"}
    assert set(modes.values()) == {"0o600"}


def test_existing_files_are_closed_to_others_and_keep_their_group(folder: Path) -> None:
    for name in ("portal.sqlite", "portal.sqlite-wal", "portal.sqlite-shm"):
        (folder / name).touch()
        (folder / name).chmod(0o664)
    with sole_server("sqlite:///portal.sqlite"):
        modes = {path.name: mode(path) for path in folder.iterdir()}
    assert modes.pop("portal.sqlite.lock") == "0o600"
    assert set(modes.values()) == {"0o660"}


def test_waits_and_sizes_are_the_settings() -> None:
    """Each one reaches what waits by it. Background work waits longer than requests."""
    numbers = {
        "keep_alive_s": 5,
        "headers_timeout_s": 6,
        "body_timeout_s": 7,
        "send_timeout_s": 8,
        "http_connections": 19,
        "http_connections_per_address": 4,
        "lock_timeout_s": 2,
        "statement_timeout_s": 11,
        "idle_timeout_s": 12,
        "write_connections": 13,
        "database_connections": 14,
        "dashboard_connections": 15,
        "dashboard_timeout_s": 1,
        "queue_timeout_s": 16,
    }
    settings = Settings(database_url="sqlite:///portal.db", token_key=KEY, **numbers)  # type: ignore[arg-type]
    limits, waits, reads = settings.connection_limits, settings.waits, settings.read_limits
    assert (limits.keep_alive_s, limits.head_s, limits.body_s, limits.send_s) == (5, 6, 7, 8)
    assert (limits.connections, limits.per_address) == (19, 4)
    assert (waits.lock_s, waits.statement_s, waits.idle_s, waits.connections) == (2, 11, 12, 13)
    assert (reads.connections, reads.dashboard_connections) == (14, 15)
    assert (reads.timeout_s, reads.dashboard_timeout_s, reads.wait_s) == (11, 1, 16)
    patient = waits.of_background
    assert (patient.lock_s, patient.statement_s) > (waits.lock_s, waits.statement_s)


# -- trusted documents -----------------------------------------------------------------------------


def test_server_that_answers_only_trusted_documents_has_some(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUSTED_DOCUMENTS", "only")
    with pytest.raises(WrongSettings, match="TRUSTED_DOCUMENTS_FILE is not set"):
        from_environment()
    monkeypatch.setenv("TRUSTED_DOCUMENTS_FILE", "a.json, b.json")
    assert from_environment().trusted_documents_file == ["a.json", "b.json"]
    monkeypatch.delenv("TRUSTED_DOCUMENTS_FILE")
    monkeypatch.setenv("PORTAL_PAGE", "true")
    assert from_environment().trusted_documents == "only"
    monkeypatch.setenv("TRUSTED_DOCUMENTS", "some")
    with pytest.raises(WrongSettings, match="TRUSTED_DOCUMENTS"):
        from_environment()
