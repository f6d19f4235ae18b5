"""Time to print documents, and delay of reads during that: `python -m bench.documents`.

Over SQLite, as on one machine: read, typeset and store. Each document is printed for the first
time.
"""

import asyncio
import datetime as dt
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.documents.printer import Printer
from demo import filling, many
from models import DocumentKind, database
from models.migrations import upgrade
from resolvers.document_files import TABLES

CLIENTS, EACH, IN_A_ROW, BURST = 200, 60, 1_000, 100
Asked = tuple[DocumentKind, str, str]


def main(
    in_a_row: Annotated[
        int, typer.Option(min=100, help="Documents to print for the memory.")
    ] = IN_A_ROW,
) -> None:
    """Measure one and four at a time, a thousand in a row, and the API beside a burst."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(f"sqlite:///{Path(folder) / 'portal.sqlite'}", in_a_row))


async def measure(url: str, in_a_row: int) -> None:
    async with practice(url) as engine:
        waiting = await documents(engine)
        await one_and_four(engine, waiting)
        await beside_a_burst(engine, database.reads(url), waiting)
        await memory(engine, waiting, in_a_row)


@asynccontextmanager
async def practice(url: str) -> AsyncIterator[AsyncEngine]:
    engine = database.engine(url)
    await upgrade(engine)
    plan = many.PracticePlan(dt.datetime.now(dt.UTC).date(), 1, 0, CLIENTS)
    await filling.fill_practice(engine, plan, lambda _: None)
    yield engine
    await engine.dispose()


async def documents(engine: AsyncEngine) -> dict[DocumentKind, list[Asked]]:
    """Return all documents; each is printed once."""
    found = {}
    async with engine.connect() as conn:
        for kind, table in TABLES.items():
            columns = table.__table__.c
            ids = await conn.execute(select(columns.practice_id, columns.id))
            found[kind] = [(kind, practice, id_) for practice, id_ in ids]
    return found


def press(engine: AsyncEngine) -> Printer:
    return Printer(engine, lambda: dt.datetime.now(dt.UTC))


async def one_and_four(engine: AsyncEngine, waiting: dict[DocumentKind, list[Asked]]) -> None:
    for kind, asked in waiting.items():
        printing = press(engine)
        await printing.print(*asked.pop())
        each = [await timed(printing, [asked.pop()]) for _ in range(EACH)]
        fours = [await timed(printing, [asked.pop() for _ in range(4)]) for _ in range(EACH // 4)]
        typer.echo(
            f"{kind.lower():10} {statistics.median(each):5.1f} ms one at a time,"
            f" {statistics.median(fours) / 4:5.1f} ms each of four at a time"
        )
        printing.close()


async def timed(printing: Printer, asked: Sequence[Asked]) -> float:
    """Return the milliseconds until all documents are printed."""
    began = time.perf_counter()
    await asyncio.gather(*(printing.print(*one) for one in asked))
    return (time.perf_counter() - began) * 1000


async def beside_a_burst(
    engine: AsyncEngine, reads: object, waiting: dict[DocumentKind, list[Asked]]
) -> None:
    """Measure reads while a hundred documents are printed, and without any load."""
    assert isinstance(reads, database.SqliteReads)
    printing = press(engine)
    asked = [waiting[DocumentKind.INVOICE].pop() for _ in range(BURST)]
    idle = [await read(reads) for _ in range(500)]
    burst = asyncio.gather(*(printing.print(*one) for one in asked))
    busy = []
    while not burst.done():
        busy.append(await read(reads))
        await asyncio.sleep(0.001)
    await burst
    before, during = (statistics.quantiles(took, n=100)[98] for took in (idle, busy))
    typer.echo(
        f"a read beside a burst of {BURST}: p99 {during:.2f} ms, {before:.2f} ms without one"
    )
    printing.close()
    await reads.close()


async def read(reads: database.SqliteReads) -> float:
    began = time.perf_counter()
    await reads.value("SELECT count(*) FROM client", [])
    return (time.perf_counter() - began) * 1000


async def memory(
    engine: AsyncEngine, waiting: dict[DocumentKind, list[Asked]], in_a_row: int
) -> None:
    printing = press(engine)
    every = [one for asked in waiting.values() for one in asked]
    assert len(every) >= in_a_row, f"there are {len(every)} documents only"
    seen = []
    for number, one in enumerate(every[:in_a_row], 1):
        await printing.print(*one)
        if number % (in_a_row // 10) == 0:
            seen.append(resident_mb())
    typer.echo(f"{in_a_row} in a row: resident {', '.join(f'{mb:.0f}' for mb in seen)} MB")
    printing.close()


def resident_mb() -> float:
    """Return the resident memory of this process in MB; NaN if the system is not Linux."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        return float("nan")
    return pages * 4096 / 2**20


if __name__ == "__main__":
    typer.run(main)
