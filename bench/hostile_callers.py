"""Hostile callers, each of which repeats an action until its task is canceled.

They run in a process of their own that gets only the processor time which the server and the
database leave over, so that the measurement shows the work that they cause, and not their own.
`python -m bench.hostile_callers` reads the target and the groups from its standard input, and
prints the count of each status.
"""

import asyncio
import itertools
import json
import os
import secrets
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field

import asyncpg

from bench import hostile_connections
from tests.security.fuzz.strangers import SHAPES

HOST = "127.0.0.1"
# Seconds before a caller hangs up, and after a refusal.
PATIENCE_S, BREATH_S = 0.05, 0.01
# Seconds for which a table is locked, and then free.
LOCKED_S = 2.0

# The most expensive allowed operation: computed filters over a whole practice.
COSTLY = " ".join(
    f"a{number}: clients(withBalance: {filter}, first: 1) {{ totalCount }}"
    for number, filter in enumerate(itertools.islice(itertools.cycle(("true", "false")), 5))
)
# More than an operation may cost.
TOO_COSTLY = " ".join(
    f"a{number}: clients(withBalance: false, first: 1) {{ totalCount }}" for number in range(50)
)
PAGES = "{ practice { invoices(first: 500) { nodes { number amountDue { amount } } } } }"
LOCKED = "{ client { statements(first: 10) { nodes { lines { date } } } } }"


@dataclass
class Target:
    """The target of the callers: a server, its database, and tokens of one practice."""

    port: int
    database: str
    dashboards: Sequence[str]
    clients: Sequence[str]
    # Number of responses, by status; 0: no response.
    answers: Counter[int] = field(default_factory=Counter)

    async def ask(self, query: str, token: str | None, *, waits_s: float | None = None) -> None:
        """Send a query on a new connection; hang up after this many seconds, answered or not."""
        body = json.dumps({"query": query}).encode()
        head = f"POST /graphql HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        if token:
            head += f"Authorization: Bearer {token}\r\n"
        await self.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body, waits_s)

    async def send(self, content: bytes, waits_s: float | None = None) -> None:
        """Send bytes on a new connection, and count the status of the response."""
        status = 0
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(waits_s):
                reader, writer = await asyncio.open_connection(HOST, self.port)
                try:
                    writer.write(content)
                    line = await reader.readline()
                    status = int(line.split()[1]) if line else 0
                finally:
                    writer.close()
        self.answers[status] += 1
        if status != 200:
            await asyncio.sleep(BREATH_S)


Caller = Callable[[Target], Awaitable[None]]


async def asks_for_much(target: Target) -> None:
    """Send the most expensive allowed operation, with one token."""
    while True:
        await target.ask(f"{{ {COSTLY} }}", target.dashboards[0])


async def asks_for_too_much(target: Target) -> None:
    """Send too expensive operations and large pages, with one token."""
    while True:
        await target.ask(f"{{ {TOO_COSTLY} }}", target.dashboards[0])
        await target.ask(PAGES, target.dashboards[0])


async def asks_anew(target: Target) -> None:
    """Send operations that have to be planned each time."""
    for number in itertools.count():
        fields = " ".join(f"n{number}_{alias}: number" for alias in range(150))
        query = f"{{ practice {{ invoices(first: 1) {{ nodes {{ {fields} }} }} }} }}"
        await target.ask(query, target.dashboards[0])


async def hangs_up(target: Target) -> None:
    """Send expensive operations and hang up before the response, with several tokens."""
    for token in itertools.cycle(target.dashboards):
        await target.ask(f"{{ {COSTLY} }}", token, waits_s=PATIENCE_S)


async def waits_for_a_lock(target: Target) -> None:
    """Read a locked table, as many clients of one practice."""
    for token in itertools.cycle(target.clients):
        await target.ask(LOCKED, token)


async def locks(target: Target) -> None:
    """Lock a table, as a failed migration does."""
    conn = await asyncpg.connect(target.database)
    while True:
        async with conn.transaction():
            await conn.execute("LOCK TABLE statement_line IN ACCESS EXCLUSIVE MODE")
            await asyncio.sleep(LOCKED_S)
        await asyncio.sleep(LOCKED_S)


async def sends_documents(target: Target) -> None:
    """Send new documents of every hostile shape, without a token."""
    for number in itertools.count(secrets.randbelow(2**20)):
        for make in SHAPES.values():
            hostile = make(number)
            length = str(len(hostile.content))
            named = {"Host": HOST, "Content-Length": length, **hostile.headers}
            head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
            await target.send(f"POST /graphql HTTP/1.1\r\n{head}\r\n".encode() + hostile.content)


async def sends_long_documents(target: Target) -> None:
    """Send new documents of the maximum length, as one client."""
    fields = " ".join(f"a{alias}: id" for alias in range(190))
    for number in itertools.count():
        query = f"query Q{number} {{ client {{ {fields} }} }} # {'x' * 95_000}"
        await target.ask(query, target.clients[0])


async def sends_what_is_not_run(target: Target) -> None:
    """Send further operations in the document, whose fields have to be compared."""
    for number in itertools.count():
        same = "invoices { nodes { id } } " * 240
        rest = f"query B {{ client {{ {same} }} }}"
        await target.ask(f"query A{number} {{ client {{ id }} }} {rest}", target.clients[0])
        await target.ask(f"query A{number} {{ client {{ {'id ' * 450} }} }}", target.clients[0])


DOCUMENTS: Sequence[Caller] = (
    *(sends_documents,) * 8,
    *(sends_long_documents,) * 2,
    *(sends_what_is_not_run,) * 2,
)
# Groups of callers by name.
GROUPS: Mapping[str, Sequence[Caller]] = {
    "costly queries": (
        *(asks_for_much,) * 10,
        *(asks_for_too_much,) * 6,
        *(asks_anew,) * 4,
    ),
    # Eight of them with two thousand connections.
    "documents and connections": (*DOCUMENTS, *hostile_connections.CALLERS),
    "locks and hang-ups": (locks, *(waits_for_a_lock,) * 13, *(hangs_up,) * 6),
    # One token at its worst.
    "one dashboard": (*(asks_for_much,) * 6, *(asks_for_too_much,) * 2, *(asks_anew,) * 2),
    # Parts of a group, which show what it consists of.
    "documents": DOCUMENTS,
    "connections": hostile_connections.CALLERS,
}
ONE_DASHBOARD = "one dashboard"
TWENTY = ("costly queries", "documents and connections", "locks and hang-ups")


async def attack(target: Target, names: Sequence[str], seconds: float) -> None:
    """Run the callers of some groups for this many seconds."""
    tasks = [asyncio.create_task(run(caller, target)) for name in names for caller in GROUPS[name]]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def run(caller: Caller, target: Target) -> None:
    """Keep a caller running after any error."""
    while True:
        try:
            await caller(target)
        except (OSError, asyncpg.PostgresError) as error:
            print(f"{caller.__name__}: {error}", file=sys.stderr)
            await asyncio.sleep(1)


def main() -> None:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    given = json.load(sys.stdin)
    target = Target(**given["target"])
    asyncio.run(attack(target, given["names"], given["seconds"]))
    print(json.dumps(target.answers))


def told(target: Target, names: Sequence[str], seconds: float) -> bytes:
    """Return the input of `main`."""
    facts = {name: value for name, value in asdict(target).items() if name != "answers"}
    return json.dumps({"target": facts, "names": names, "seconds": seconds}).encode()


if __name__ == "__main__":
    main()
