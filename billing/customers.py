"""A client's customer at Stripe: one, whose id is written before anything names it."""

from sqlalchemy import select, update

from billing.till import Till
from models import Client


async def customer(till: Till, account: str, practice_id: str, client_id: str) -> str:
    """The customer's id: the one that is written, or a new one's."""
    mine = Client.practice_id == practice_id, Client.id == client_id
    written = select(Client.stripe_customer).where(*mine)
    async with till.engine.connect() as rows:
        before = await rows.scalar(written)
    if before is not None:
        return str(before)
    made = await till.stripe.customer(account, practice_id, client_id)
    async with till.engine.begin() as rows:
        unnamed = update(Client).where(*mine, Client.stripe_customer.is_(None))
        await rows.execute(unnamed.values(stripe_customer=made))
        return str(await rows.scalar(written))
