"""The command `portal load-demo`: a database of realistic size, with invented practices."""

import asyncio
import datetime as dt
import gc
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from multiprocessing.sharedctypes import Synchronized

import typer
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from demo import filling, many
from demo.many import PracticePlan
from models import Client, Practice, bulk_insert, database, migrations
from models.database import backend_name
from server.cli import token_admin
from server.cli.console import NOT_MIGRATED, run
from server.command_errors import CommandError
from server.settings import Settings

# The processes share no memory with this one except the given values.
SPAWN = multiprocessing.get_context("spawn")
LOOKS_EVERY_S = 0.2
LASTS, COMMAND = dt.timedelta(days=90), "portal load-demo"


class NotLoaded(CommandError):
    """The database is empty or incomplete. The text gives the reason."""


def load_practices(settings: Settings, clients: int, practices: int, seed: int) -> None:
    """Load with a progress bar on a terminal, then print the numbers of rows and two tokens."""
    if practices > clients:
        raise NotLoaded(f"{practices} practices need at least as many clients, not {clients}.")
    url = settings.database_owner_url or settings.database_url
    run(refuse_unready(url))
    began = time.monotonic()
    today = dt.datetime.now(dt.UTC).date()
    rows = write_practices(url, many.plans(today, seed, clients, practices))
    practice_id, client_id = run(finish_load(url))
    print_counts(rows, time.monotonic() - began)
    run(give_tokens(settings, practice_id, client_id))


async def refuse_unready(url: str) -> None:
    async with open_database(url) as engine:
        if not await migrations.is_up_to_date(engine):
            raise NotLoaded(NOT_MIGRATED)
        if await bulk_insert.is_kept_from(engine, Practice):
            raise NotLoaded("The owner of the tables loads them: set DATABASE_OWNER_URL.")
        if await practices_in(engine):
            raise NotLoaded("The database has practices already: choose an empty one.")


async def finish_load(url: str) -> tuple[str, str]:
    """Update the planner's statistics, and return the ids of a practice and of its first client."""
    async with open_database(url) as engine:
        await filling.update_statistics(engine)
        ids = select(Client.practice_id, Client.id).order_by(Client.practice_id, Client.id)
        async with engine.connect() as conn:
            practice_id, client_id = (await conn.execute(ids.limit(1))).one()
    return practice_id, client_id


async def practices_in(engine: AsyncEngine) -> int:
    async with engine.connect() as conn:
        counted = await conn.execute(select(func.count()).select_from(Practice))
        return int(counted.scalar_one())


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[AsyncEngine]:
    engine = database.engine(url)
    try:
        yield engine
    finally:
        await engine.dispose()


# -- parallel writing ------------------------------------------------------------------------------


def write_practices(url: str, plans: list[PracticePlan]) -> Counter[str]:
    """Write the practices, and return the numbers of rows by table.

    Each practice is one transaction, in one of several processes.
    """
    written = SPAWN.Value("q", 0)
    clients = sum(plan.clients for plan in plans)
    rows: Counter[str] = Counter()
    try:
        with (
            workers(url, written) as pool,
            typer.progressbar(length=clients, label="Clients") as bar,
        ):
            # The first practice comes alone: see filling.fill.
            for batch in (plans[:1], plans[1:]):
                running = {pool.submit(fill_in_worker, url, plan) for plan in batch}
                while running:
                    ended, running = wait(running, LOOKS_EVERY_S, FIRST_COMPLETED)
                    bar.update(written.value - bar.pos)
                    rows += sum((future.result() for future in ended), Counter())
    except KeyboardInterrupt:
        loaded = asyncio.run(whole(url))
        raise NotLoaded(
            f"Interrupted: {loaded} of {len(plans)} practices are in the database, each complete."
        ) from None
    return rows


async def whole(url: str) -> int:
    async with open_database(url) as engine:
        return await practices_in(engine)


@contextmanager
def workers(url: str, written: "Synchronized[int]") -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of processes that end with the block, even during their work."""
    # SQLite has one writer at a time.
    size = 1 if backend_name(url) == "sqlite" else os.cpu_count()
    others = multiprocessing.active_children()
    pool = ProcessPoolExecutor(size, SPAWN, init_worker, (written,))
    try:
        yield pool
    except BaseException:
        for process in multiprocessing.active_children():
            if process not in others:
                process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


# The shared number of clients that the workers have written.
telling: "Synchronized[int]"


def init_worker(written: "Synchronized[int]") -> None:
    """Initialise a worker. Only its parent process handles Ctrl-C."""
    global telling
    telling = written
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # No object becomes garbage while a practice is created, and collection takes a quarter of the
    # time.
    gc.disable()


def fill_in_worker(url: str, plan: PracticePlan) -> Counter[str]:
    rows = asyncio.run(fill_one(url, plan))
    gc.collect()
    return rows


async def fill_one(url: str, plan: PracticePlan) -> Counter[str]:
    async with open_database(url) as engine:
        return await filling.fill_practice(engine, plan, tell)


def tell(clients: int) -> None:
    with telling.get_lock():
        telling.value += clients


# -- terminal output -------------------------------------------------------------------------------


def print_counts(rows: Counter[str], seconds: float) -> None:
    for table, count in rows.most_common():
        typer.echo(f"{count:>12,}  {table}")
    typer.echo(f"{rows.total():>12,}  rows in {seconds:.0f} seconds")


async def give_tokens(settings: Settings, practice_id: str, client_id: str) -> None:
    create = partial(
        token_admin.issue_token,
        settings,
        "load-demo",
        practice_id,
        contact=None,
        lasts=LASTS,
        command=COMMAND,
    )
    dashboard = await create(client=None, scopes=list(token_admin.SCOPES))
    client = await create(client=client_id, scopes=[])
    typer.echo(
        f"\nTokens, for the header Authorization: Bearer …\n"
        f"  {dashboard}  a dashboard of a practice, with all scopes\n"
        f"  {client}  a client of it"
    )
