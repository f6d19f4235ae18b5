"""A whole campaign on one database: waves of clients amid faults, rest, judgement."""

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from models.database import engine
from tests.payments.campaign import rest, scripts
from tests.payments.campaign.answers import Journal
from tests.payments.campaign.at_stripe import AtStripe
from tests.payments.campaign.banks import Banks
from tests.payments.campaign.events import Deliveries
from tests.payments.campaign.facts import Facts, gathered
from tests.payments.campaign.oracle import Finding, judged, tried
from tests.payments.campaign.page import Page
from tests.payments.campaign.proxy import Proxy, faulty_proxy
from tests.payments.campaign.refunding import Operator
from tests.payments.campaign.servers import Pool, Servers
from tests.payments.campaign.visit import Visit
from tests.payments.campaign.world import Somebody, World
from tests.support import books, postgres, stripe_allowlist
from tests.support.empty_databases import prepare
from tests.support.portal import KEY
from tests.support.processes import SECRET, double

# Crashes the database's server, and returns when it runs again.
Restart = Callable[[], None]
SERVERS = 2
TELLS_EVERY_S = 15
# Clients come one by one at the beginning, since the servers are cold.
COMES_EVERY_S = 0.4
# The number of findings shown of each kind.
SHOWN = 10
RESTARTED_EVERY_S = (10.0, 22.0)
BOOKS = "books unlike their hashes"


@dataclass(frozen=True)
class Wanted:
    """A campaign's size and seed. `only`: the indexes of clients to replay."""

    clients: int
    seed: str
    at_once: int = 24
    only: tuple[int, ...] = ()
    # No faults: a finding is then a defect of the campaign, or one that needs no crash.
    calm: bool = False
    # Seconds after which no more clients come.
    seconds: float = 3600


@dataclass
class Result:
    """A campaign's findings, trials and counts."""

    clients: int
    findings: dict[str, list[Finding]]
    tried: dict[str, int]
    counts: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)

    @property
    def all(self) -> list[str]:
        return [
            f"{name}: client {one.client}: {one.text}"
            for name, findings in self.findings.items()
            for one in findings[:SHOWN]
        ]


class Campaign:
    """The processes and the people of one campaign."""

    def __init__(self, wanted: Wanted, url: str, folder: Path, http: httpx.AsyncClient) -> None:
        self.wanted, self.url, self.folder, self.http = wanted, url, folder, http
        self.engine = engine(url)
        self.journal, self.people = Journal(), list[Somebody]()
        self.pool = Pool(folder, wanted.seed)
        self.counts: Counter[str] = Counter()
        self.left = 0

    async def run(self, proxy: Proxy, stripe: AtStripe, restart: Restart | None) -> Result:
        world = World(self.engine, self.wanted.seed)
        houses = await world.open()
        indexes = self.wanted.only or tuple(range(self.wanted.clients))
        for first in range(0, len(indexes), self.wanted.at_once):
            some = indexes[first : first + self.wanted.at_once]
            self.people += await world.clients(houses, some)
        servers = Servers(self.pool, self.settings(proxy), SERVERS)
        deliveries = Deliveries(stripe, servers, self.http, self.wanted.seed)
        operator = Operator(self.pool, self.environment(proxy), self.wanted.seed)
        banks = Banks(stripe, self.wanted.seed)
        for house in houses:
            await stripe.act("strangers", account=house.account)
        operator.danger = not self.wanted.calm
        await servers.start(danger=not self.wanted.calm, later_s=0)
        proxy.set(faults=not self.wanted.calm)
        beside = [asyncio.create_task(self.tell_progress())]
        beside += [asyncio.create_task(deliveries.run())]
        if not self.wanted.calm:
            beside.append(asyncio.create_task(banks.run()))
        if restart is not None and not self.wanted.calm:
            beside.append(asyncio.create_task(self.crash_the_database(restart)))
        began = time.monotonic()

        def visit(somebody: Somebody) -> Visit:
            page = Page(somebody, servers, self.http, self.counts)
            return Visit(somebody, page, stripe, world, operator, self.journal)

        try:
            await self.waves([visit(somebody) for somebody in self.people])
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            # Its connections may be to a database that has crashed since.
            await self.engine.dispose()
        say(f"{self.left} clients have left; coming to rest")
        self.counts["seconds of faults"] = round(time.monotonic() - began)
        self.counts.update({f"wire: {k}": v for k, v in proxy.set(faults=False).items()})
        await banks.end()
        await self.end(servers, operator, deliveries, stripe)
        facts = await gathered(self.engine, stripe, self.people, self.journal)
        stripe_allowlist.hold(stripe.store.journal())
        counts = self.counts + self.journal.counts + deliveries.counts
        counts += self.pool.crashes() + banks.counts
        findings = judged(facts) | {BOOKS: await self.verify(facts)}
        trials = tried(facts) | {BOOKS: len(facts.people)}
        return Result(self.left, findings, trials, counts, self.pool.places())

    async def verify(self, facts: Facts) -> list[Finding]:
        """Return the differences in the books, as `portal verify` finds them."""
        return [
            Finding(facts.clients.get(one.client_id or ""), str(one.difference))
            for one in await books.differences(self.engine)
        ]

    async def waves(self, visits: list[Visit]) -> None:
        """Keep this many clients at once: as one leaves, the next comes."""
        coming, until = iter(visits), time.monotonic() + self.wanted.seconds

        async def one_after_another(waits_s: float) -> None:
            await asyncio.sleep(waits_s)
            for visit in coming:
                if time.monotonic() > until:
                    return
                await scripts.play(visit)
                self.left += 1

        many = range(self.wanted.at_once)
        await asyncio.gather(*(one_after_another(k * COMES_EVERY_S) for k in many))

    async def tell_progress(self) -> None:
        while True:
            await asyncio.sleep(TELLS_EVERY_S)
            told = Counter(one.typename for one in self.journal.told).most_common(4)
            pages = {k: v for k, v in self.counts.items() if k.startswith("page")}
            say(f"{self.left} of {len(self.people)} clients have left; {told} {pages}")

    async def crash_the_database(self, restart: Restart) -> None:
        while True:
            await asyncio.sleep(self.pool.random.uniform(*RESTARTED_EVERY_S))
            await asyncio.to_thread(restart)
            self.counts["database restarts"] += 1

    async def end(
        self, servers: Servers, operator: Operator, deliveries: Deliveries, stripe: AtStripe
    ) -> None:
        """Bring everything to rest: operators resume their refunds, and time goes on."""
        operator.danger = False
        clockwork = servers, self.engine, stripe.move_clock, deliveries.finish
        await rest.come_to_rest(*clockwork, rest.STEPS)
        await asyncio.gather(*operator.underway)
        for intention in self.journal.intentions:
            await operator.refund(intention)
        await rest.come_to_rest(*clockwork, rest.LAST)
        await servers.stop()

    def settings(self, proxy: Proxy) -> dict[str, str]:
        return {
            "database_url": self.url,
            "token_key": KEY,
            "stripe_api_key": "sk_test_double",
            "stripe_publishable_key": "pk_test_double",
            "stripe_webhook_secret": SECRET,
            "stripe_api_base": proxy.address,
        }

    def environment(self, proxy: Proxy) -> dict[str, str]:
        return {name.upper(): value for name, value in self.settings(proxy).items()}


def say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


@asynccontextmanager
async def database(folder: Path, *, is_sqlite: bool) -> AsyncIterator[tuple[str, Restart | None]]:
    """Yield the URL of a migrated database, and a function that crashes its server, if
    it has one.
    """
    if is_sqlite:
        url = f"sqlite:///{folder / 'portal.sqlite'}"
        await prepare(url)
        yield url, None
        return
    programs = postgres.find()
    if programs is None:
        raise LookupError(f"No PostgreSQL was found: {postgres.HOW_TO_GET}.")
    with postgres.started(programs, postgres.DURABLE) as server:
        url = await postgres.create(server.url, "portal_campaign")
        await prepare(url)
        yield url, server.restart


async def campaign(wanted: Wanted, *, is_sqlite: bool) -> Result:
    with tempfile.TemporaryDirectory(prefix="campaign-") as name:
        folder = Path(name)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with (
            database(folder, is_sqlite=is_sqlite) as (url, restart),
            httpx.AsyncClient(limits=limits, timeout=60) as http,
        ):
            with double(folder) as address:
                port = urlsplit(address).port
                assert port is not None
                with faulty_proxy(port, wanted.seed) as proxy:
                    stripe = AtStripe(address, folder / "stripe.sqlite", http)
                    one = Campaign(wanted, url, folder, http)
                    try:
                        return await one.run(proxy, stripe, restart)
                    finally:
                        stripe.close()
                        one.pool.close()
                        await one.engine.dispose()
