"""The database's URL: its parts, and refusals in a sentence without a secret."""

from pathlib import Path
from typing import Any

import pytest

from models.database import WrongUrl, backend_name, check_url
from models.database.dsn import Dsn
from server.settings import Settings, WrongSettings, from_environment
from tests.support.portal import KEY

SECRET = "hunter2"


def place(url: str) -> tuple[Any, ...]:
    dsn = Dsn.of(url)
    return dsn.hosts, dsn.user, dsn.password, dsn.database


PLACES = {
    "postgresql://ana:pw@db.example/portal": ((("db.example", 5432),), "ana", "pw", "portal"),
    "postgres://ana:pw@db.example:6432/portal": ((("db.example", 6432),), "ana", "pw", "portal"),
    "postgresql+asyncpg://ana@db.example/portal": ((("db.example", 5432),), "ana", None, "portal"),
    "postgresql://a%40b:p%40s%2Fs%3Aw%3Fo%23r%25d+@db.example/po%20rtal": (
        (("db.example", 5432),),
        "a@b",
        "p@s/s:w?o#r%d+",
        "po rtal",
    ),
    "postgresql://ana@one:5433,two,[::1]:5434/portal": (
        (("one", 5433), ("two", 5432), ("::1", 5434)),
        "ana",
        None,
        "portal",
    ),
    "postgresql:///portal?host=/var/run/postgresql": (
        (("/var/run/postgresql", 5432),),
        None,
        None,
        "portal",
    ),
    "postgresql://ana@/portal?host=%2Frun%2Fone,two&port=5433,5434": (
        (("/run/one", 5433), ("two", 5434)),
        "ana",
        None,
        "portal",
    ),
    "postgresql://ana@%2Fvar%2Frun/portal": ((("/var/run", 5432),), "ana", None, "portal"),
    "postgresql://one,two/?user=ana&password=p%26w&dbname=portal": (
        (("one", 5432), ("two", 5432)),
        "ana",
        "p&w",
        "portal",
    ),
    "postgresql://": ((), None, None, None),
}


@pytest.mark.parametrize("url", PLACES)
def test_url_names_what_libpq_reads_in_it(url: str) -> None:
    assert place(url) == PLACES[url]


def test_parameters_reach_the_driver() -> None:
    dsn = Dsn.of(
        "postgresql://ana@db.example/portal?application_name=billing%20desk&connect_timeout=7"
        "&options=-c%20search_path%3Dportal&target_session_attrs=read-write&channel_binding=prefer"
        "&sslmode=require"
    )
    arguments = dsn.arguments()
    assert arguments["server_settings"] == {
        "application_name": "billing desk",
        "options": "-c search_path=portal",
    }
    assert arguments["target_session_attrs"] == "read-write"
    assert arguments["dsn"] == "postgresql://?sslmode=require"
    assert dsn.connect_timeout_s == 7


WRONG = {
    "mysql://ana:hunter2@db.example/portal": "begins with neither",
    "postgresql:ana:hunter2@db.example/portal": "begins with neither",
    "postgresql://ana:hunter2#@db.example/portal": "percent-encoded",
    "postgresql://ana:hunter2%@db.example/portal": "percent-encoded",
    "postgresql://ana:hunter2%ff@db.example/portal": "not UTF-8",
    "postgresql://ana:hunter2%00@db.example/portal": "NUL",
    "postgresql://ana:p/hunter2@db.example/portal": "percent-encoded",
    "postgresql://ana:p?hunter2=1@db.example/portal": "percent-encoded",
    "postgresql://ana:p@hunter2@db.example/portal": "percent-encoded",
    "postgresql://ana:p:hunter2/portal": "percent-encoded",
    "postgresql://ana:hunter2/portal": "port",
    "postgresql://ana:hunter2@db.example:99999/portal": "port",
    "postgresql://ana:hunter2@/portal?host=one,two&port=1,2,3": "3 ports for 2 hosts",
    "postgresql://ana:hunter2@db.example/portal?host=other": "host twice",
    "postgresql://ana:hunter2@db.example/portal?password=hunter2": "password twice",
    "postgresql://ana:hunter2@db.example/portal?sslmode=require&sslmode=disable": "sslmode twice",
    "postgresql://ana:hunter2@db.example/portal?sslmode": "sslmode without a value",
    "postgresql://ana:hunter2@db.example/portal?sslmode=on": "none of disable, allow",
    "postgresql://ana:hunter2@db.example/portal?ssl=require": "write sslmode=require",
    "postgresql://ana:hunter2@db.example/portal?pgbouncer=true": "parameter pgbouncer",
    "postgresql://ana:hunter2@db.example/portal?statement_timeout=0": "statement_timeout",
    "postgresql://ana:hunter2@db.example/portal?hunter2": "not made of letters",
    "postgresql://ana:hunter2@db.example/portal?sslmode=verify-full": "no sslrootcert",
    "postgresql://ana:hunter2@db.example/portal?sslrootcert=/nowhere": "no file to be read",
    "postgresql://ana:hunter2@db.example/portal?sslmode=require&sslrootcert=system": "verify-full",
    "postgresql://ana:hunter2@db.example/portal?sslnegotiation=direct": "sslmode=require or more",
    "postgresql://ana:hunter2@db.example/portal?channel_binding=require": "binds no channels",
    "postgresql://ana:hunter2@db.example/portal?target_session_attrs=standby": "the portal writes",
    "postgresql://ana:hunter2@db.example/portal?gssencmode=require": "by TLS only",
    "postgresql://ana:hunter2@db.example/portal?connect_timeout=soon": "number of seconds",
}


@pytest.mark.parametrize("url", WRONG)
def test_invalid_url_is_refused_in_a_sentence_without_the_password(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in {"DATABASE_URL": url, "TOKEN_KEY": KEY, "SANDBOX": "true"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(WrongSettings) as refused:
        from_environment()
    sentence = str(refused.value)
    assert sentence.startswith("DATABASE_URL: ")
    assert WRONG[url] in sentence
    assert SECRET not in sentence
    assert sentence.count("\n") == 0


def test_repr_of_a_dsn_has_no_password() -> None:
    shown = repr(Dsn.of("postgresql://ana:hunter2@db.example/portal?sslpassword=hunter2"))
    assert SECRET not in shown


def test_system_authorities_verify_the_servers_name() -> None:
    context = Dsn.of("postgresql://db.example/portal?sslrootcert=system").arguments()["ssl"]
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"


def test_sqlite_url_needs_a_file() -> None:
    assert backend_name("sqlite:///portal.db") == "sqlite"
    check_url("sqlite:////var/portal.db")
    with pytest.raises(WrongUrl, match="names no file"):
        check_url("sqlite://")


def test_settings_keep_the_url_unchanged() -> None:
    url = "postgres://ana:pw@one,two/portal?sslmode=require"
    assert Settings(database_url=url, token_key=KEY, sandbox=True).database_url == url
