"""PgBouncer in front of a PostgreSQL server: the program named by PGBOUNCER, or PATH's."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.support import postgres
from tests.support.demo_server import free_port

HOW_TO_GET = "install PgBouncer, or name its program by PGBOUNCER"
HOST = "127.0.0.1"
STARTS_WITHIN_S = 10.0
# The first release that prepares statements again in each session that it lends.
PREPARES = (1, 21)
INI = """
[databases]
* = host={folder} user={role}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = any
logfile = {log}
default_pool_size = 4
max_client_conn = 200
{more}
"""


def find() -> str | None:
    named = os.environ.get("PGBOUNCER")
    return named or shutil.which(
        "pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
    )


def version(program: str) -> tuple[int, ...]:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"PgBouncer (\d+)\.(\d+)", said)
    assert match, said
    return int(match[1]), int(match[2])


@contextmanager
def pgbouncer(
    program: str, server_url: str, *, port: int | None = None, **settings: object
) -> Iterator[str]:
    """Start PgBouncer in front of the server of this URL; yield the pooler's URL."""
    parts = urlsplit(server_url)
    port, folder = port or free_port(), Path(tempfile.mkdtemp(prefix="portal-pooler-"))
    log, ini = folder / "log", folder / "pgbouncer.ini"
    more = "\n".join(f"{name} = {value}" for name, value in settings.items())
    (behind,) = parse_qs(parts.query)["host"]
    given = {"host": HOST, "port": port, "log": log, "more": more, "role": parts.username}
    ini.write_text(INI.format(folder=behind, **given))
    user = group = None
    if os.geteuid() == 0:
        user, group = postgres.unprivileged()
        for path in (folder, ini):
            shutil.chown(path, user, group)
    process = subprocess.Popen(
        [program, "--quiet", str(ini)],
        user=user,
        group=group,
        extra_groups=None if user is None else [],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, process, log)
        role = parts.netloc.rpartition("@")[0]
        yield parts._replace(netloc=f"{role}@{HOST}:{port}", query="").geturl()
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection((HOST, port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"PgBouncer did not start: {log.read_text() if log.exists() else ''}")
