"""A process that changes payments, one transaction after another.

Each transaction writes an amount that no other writes, then the payment's next version, and pauses
before the commit. With `early` the version is counted up beforehand, as a clock would be read.
"""

import asyncio
import random
import sys

from sqlalchemy import select, update

from billing.ledger import versions
from models import Payment
from models.database import engine

PAUSE_S = 0.004


async def write(url: str, seed: int, commits: int, *, early: bool) -> None:
    chance, database = random.Random(seed), engine(url)
    async with database.connect() as conn:
        payments = (await conn.execute(select(Payment.practice_id, Payment.id))).all()
    for number in range(commits):
        practice_id, id_ = chance.choice(payments)
        mine = Payment.practice_id == practice_id, Payment.id == id_
        if early:
            async with database.begin() as conn:
                taken = await versions.next_version(conn, practice_id)
        async with database.begin() as conn:
            amount = seed * 1_000_000 + number + 1
            await conn.execute(update(Payment).where(*mine).values(amount_minor=amount))
            await asyncio.sleep(chance.random() * PAUSE_S)
            if early:
                await conn.execute(update(Payment).where(*mine).values(version=taken))
            else:
                await versions.stamp(conn, practice_id, id_)
            await asyncio.sleep(chance.random() * PAUSE_S)
    await database.dispose()


if __name__ == "__main__":
    url, seed, commits, *more = sys.argv[1:]
    asyncio.run(write(url, int(seed), int(commits), early="early" in more))
