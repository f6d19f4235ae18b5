"""`DATABASE_URL` as hosts provide it: reads, transactions and migrations connect in the
same way.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import text

from models import database, migrations
from models.database import DatabaseUnavailable, open_engine
from tests.conftest import do_without
from tests.support import postgres
from tests.support.demo_server import free_port
from tests.support.tls_postgres import PASSWORD, TlsServer, tls_server

pytestmark = pytest.mark.server

IS_ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
ENCODED = quote(PASSWORD, safe="")


@pytest.fixture(scope="module")
def programs(request: pytest.FixtureRequest) -> Path:
    """Return the folder of PostgreSQL's programs."""
    found = postgres.find()
    if found is None:
        do_without(request.config, "PostgreSQL", postgres.HOW_TO_GET)
    return found


@pytest.fixture(scope="module")
def server(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    with tls_server(programs, tmp_path_factory.mktemp("certificates")) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
async def _roles(server: TlsServer) -> None:
    at = f"postgresql://postgres@/postgres?host={server.socket_folder}&port={server.port}"
    await postgres.execute(at, "CREATE ROLE certified LOGIN")
    await postgres.execute(at, f"CREATE ROLE secretive LOGIN PASSWORD '{PASSWORD}'")


@pytest.fixture(autouse=True)
def _no_files_of_libpq(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the certificates of this machine's user."""
    monkeypatch.setenv("HOME", str(tmp_path))


def filled(url: str, server: TlsServer) -> str:
    return url.format(
        port=server.port,
        closed=free_port(),
        socket=server.socket_folder,
        ca=server.authority,
        other=server.other_authority,
        crt=server.certificate,
        key=server.key,
    )


async def both(url: str, statement: str) -> list[Any]:
    """Return the results of a statement on a read connection and in a transaction."""
    reads = database.reads(url)
    try:
        read = await reads.value(statement, [])
    finally:
        await reads.close()
    async with open_engine(url) as engine, engine.connect() as conn:
        return [read, await conn.scalar(text(statement))]


REACHED = {
    "TLS is required": "postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=require",
    "TLS is preferred": "postgresql://postgres@127.0.0.1:{port}/postgres",
    "Heroku's scheme": "postgres://postgres@127.0.0.1:{port}/postgres?sslmode=require",
    "the authority is verified": "postgresql://postgres@127.0.0.1:{port}/postgres"
    "?sslmode=verify-ca&sslrootcert={ca}",
    "the name is verified": "postgresql://postgres@localhost:{port}/postgres"
    "?sslmode=verify-full&sslrootcert={ca}",
    "a certificate is shown": "postgresql://certified@localhost:{port}/postgres"
    "?sslmode=verify-full&sslrootcert={ca}&sslcert={crt}&sslkey={key}",
    "a password of special characters": f"postgresql://secretive:{ENCODED}@127.0.0.1:{{port}}"
    "/postgres?sslmode=require&channel_binding=prefer&gssencmode=disable",
    "the second of two hosts": "postgresql://postgres@127.0.0.1:{closed},127.0.0.1:{port}/postgres"
    "?sslmode=require&target_session_attrs=primary&connect_timeout=5",
    "who writes": "postgresql://postgres@127.0.0.1:{port}/postgres"
    "?sslmode=require&target_session_attrs=read-write",
}


@pytest.mark.parametrize("url", REACHED)
async def test_encrypted_server_is_reached_if(server: TlsServer, url: str) -> None:
    assert await both(filled(REACHED[url], server), IS_ENCRYPTED) == [True, True]


REFUSED = {
    "the authority is another": "postgresql://postgres@localhost:{port}/postgres"
    "?sslmode=verify-full&sslrootcert={other}",
    "the name is another": "postgresql://postgres@127.0.0.1:{port}/postgres"
    "?sslmode=verify-full&sslrootcert={ca}",
    "a required authority is another": "postgresql://postgres@localhost:{port}/postgres"
    "?sslmode=require&sslrootcert={other}",
    "TLS is off": "postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable",
    "no certificate is shown": "postgresql://certified@localhost:{port}/postgres?sslmode=require",
    "the password is wrong": "postgresql://secretive:hunter2@127.0.0.1:{port}/postgres",
    "no host is up": "postgresql://postgres:hunter2@127.0.0.1:{closed},127.0.0.1:{closed}/postgres",
}


@pytest.mark.parametrize("url", REFUSED)
async def test_no_connection_is_opened_if(server: TlsServer, url: str) -> None:
    """Neither reads nor transactions connect against the URL's parameters."""
    given = filled(REFUSED[url], server)
    reads = database.reads(given)
    with pytest.raises(DatabaseUnavailable) as read:
        await reads.value("SELECT 1", [])
    await reads.close()
    async with open_engine(given) as engine:
        with pytest.raises(DatabaseUnavailable) as written:
            async with engine.connect():
                pass
    assert "hunter2" not in f"{read.value} {written.value}"


async def test_required_tls_is_not_given_up_for_a_server_without_it(
    programs: Path, server: TlsServer
) -> None:
    with postgres.started(programs) as plain:
        port = free_port()
        plain.control(f"""restart -m fast -o "-k '$2' -p {port} -c listen_addresses=127.0.0.1" """)
        at = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        assert await both(at, IS_ENCRYPTED) == [False, False]
        for mode in ("require", f"verify-ca&sslrootcert={server.authority}"):
            with pytest.raises(DatabaseUnavailable):
                await both(f"{at}?sslmode={mode}", IS_ENCRYPTED)


SETTINGS = {
    "application_name=billing%20desk": ("application_name", "billing desk"),
    "options=-c%20search_path%3Dportal%2Cpublic": ("search_path", "portal,public"),
    "connect_timeout=3": ("application_name", "portal"),
}


@pytest.mark.parametrize("parameter", SETTINGS)
async def test_parameter_holds_for_reads_and_transactions(
    postgres_url: str, parameter: str
) -> None:
    name, value = SETTINGS[parameter]
    async with postgres.database(postgres_url) as url:
        found = await both(f"{url}&{parameter}", f"SELECT current_setting('{name}')")
    assert found == [value, value]


@pytest.mark.rest
async def test_migrations_take_the_same_urls(server: TlsServer) -> None:
    at = f"postgresql://postgres@/postgres?host={server.socket_folder}&port={server.port}"
    await postgres.execute(at, "CREATE DATABASE migrated TEMPLATE template0")
    url = REACHED["the name is verified"].replace("/postgres?", "/migrated?")
    async with open_engine(filled(url, server)) as engine:
        await migrations.upgrade(engine)
        assert await migrations.is_up_to_date(engine)
