"""A practice with endpoints, and the worker that delivers its events."""

import datetime as dt
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.encryption import FieldKeys
from billing.outbox import endpoints
from billing.outbox.addresses import AddressRules
from billing.outbox.delivery import EventDelivery
from models import EventEndpoint, EventKind, OutboxEvent
from models.database import open_engine
from server.clock import utc_now
from tests.support.empty_databases import prepare
from tests.support.entries import EntryDesk
from tests.support.event_receiver import Received, Receiver

FIELD_KEY = Fernet.generate_key().decode()
KEYS = FieldKeys([FIELD_KEY])
SEEDS = itertools.count(1)
ANYWHERE = AddressRules(allows_http=True, allows_private=True)


@dataclass
class HookDesk:
    """A practice's entries, its endpoints and its worker. The clock is later than the real one."""

    desk: EntryDesk
    url: str = ""
    rules: AddressRules = ANYWHERE
    later: dt.timedelta = dt.timedelta()
    secrets: dict[str, str] = field(default_factory=dict)

    def now(self) -> dt.datetime:
        return utc_now() + self.later

    def worker(self, engine: Any = None) -> EventDelivery:
        return EventDelivery(engine or self.desk.engine, self.now, KEYS, self.rules)

    async def add(self, receiver: Receiver, *kinds: EventKind, url: str | None = None) -> Any:
        """Add an endpoint at a receiver, and return its row."""
        practice_id = self.desk.practice_id
        address = url or receiver.url
        async with self.desk.engine.begin() as conn:
            made = await endpoints.add_endpoint(conn, KEYS, practice_id, address, kinds, self.now())
        self.secrets[made.id] = made.secret
        return await self.endpoint(made.id)

    async def endpoint(self, id_: str) -> Any:
        async with self.desk.engine.connect() as conn:
            statement = select(EventEndpoint.__table__).where(EventEndpoint.id == id_)
            return (await conn.execute(statement)).one()

    async def events(self) -> Sequence[Any]:
        """Return the events of the practice, in their order."""
        order = OutboxEvent.version, OutboxEvent.position
        statement = select(OutboxEvent.__table__).order_by(*order)
        async with self.desk.engine.connect() as conn:
            found = await conn.execute(
                statement.where(OutboxEvent.practice_id == self.desk.practice_id)
            )
            return found.all()

    async def ids(self, after_version: int = 0) -> list[str]:
        """Return the ids of the messages of all events after a version."""
        return [
            f"evt_{one.practice_id}_{one.version}_{one.position}"
            for one in await self.events()
            if one.version > after_version
        ]


def in_first_order(received: Sequence[Received]) -> list[str]:
    """Return the ids of messages, each where it came first."""
    return list(dict.fromkeys(one.id for one in received))


@asynccontextmanager
async def hook_database(url: str) -> AsyncIterator[AsyncEngine]:
    """Yield the engine of an empty database."""
    await prepare(url)
    async with open_engine(url) as engine:
        yield engine


@asynccontextmanager
async def hook_desk(engine: AsyncEngine, url: str = "") -> AsyncIterator[HookDesk]:
    """Yield a new practice. All endpoints are removed afterwards."""
    yield HookDesk(await EntryDesk(engine, seed=next(SEEDS)).open(), url)
    async with engine.begin() as conn:
        await conn.execute(delete(EventEndpoint))
