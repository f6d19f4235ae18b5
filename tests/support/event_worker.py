"""A process that delivers events as a server does, until it is ended."""

import asyncio
import sys

from billing.encryption import FieldKeys
from billing.outbox import delivery
from billing.outbox.addresses import AddressRules
from models.database import engine
from server.clock import utc_now


async def work(url: str, key: str) -> None:
    delivery.LOOK_EVERY_S = 0.05
    rules = AddressRules(allows_http=True, allows_private=True)
    worker = delivery.EventDelivery(engine(url), utc_now, FieldKeys([key]), rules)
    async with worker.running():
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
