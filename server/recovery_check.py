"""The check that a database is not an older copy of itself, restored and not recovered."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from billing.payments.context import PaymentContext
from billing.recovery.identity import read_identity
from billing.recovery.lost_payments import lost_payments
from billing.recovery.recoveries import open_anywhere
from billing.stripe import Forbidden, StripeTrouble
from server.command_errors import CommandError

RECOVER = "Run `portal recover`: docs/operations.md, Backup and restore."
# The number of accounts that Stripe is asked about at once, and the time for all of them.
AT_ONCE, WITHIN_S = 10, 60.0
# The number of accounts or practices that a sentence names.
NAMED = 3

Account = tuple[str, str]


class NotRecovered(CommandError):
    """The database was restored from a backup and not recovered."""


async def refuse_restored(engine: AsyncEngine) -> None:
    """Raise NotRecovered if the rows were copied from another database, or a recovery is open.

    Stripe is not asked.
    """
    async with engine.connect() as conn:
        identity = await read_identity(conn)
        practices = await open_anywhere(conn)
    if identity.is_restored:
        raise NotRecovered(
            "The database was restored from a backup: clients may have paid since, and numbers of"
            f" documents may have been given out. {RECOVER} If nothing was written after the"
            " backup, as in a planned move, run `portal recover --moved`."
        )
    if practices:
        raise NotRecovered(f"The recovery of {listed(practices)} has not ended. {RECOVER}")


async def refuse_lost_payments(context: PaymentContext, accounts: list[Account]) -> list[str]:
    """Raise NotRecovered if Stripe has payments that the database has lost.

    Return a sentence for each account that Stripe gave no answer about. The daily comparison asks
    again, and stops payments if any are lost.
    """
    limit, unanswered, lost = asyncio.Semaphore(AT_ONCE), list[Account](), dict[str, int]()

    async def look(practice_id: str, account: str) -> None:
        async with limit:
            try:
                found = await lost_payments(context, practice_id, account)
            except Forbidden:
                return  # The account was closed: Stripe never answers about it again.
            except StripeTrouble:
                unanswered.append((practice_id, account))
                return
        if found:
            lost[practice_id] = lost.get(practice_id, 0) + len(found)

    try:
        async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as tasks:
            for practice_id, account in accounts:
                tasks.create_task(look(practice_id, account))
    except TimeoutError:
        unanswered = unanswered or accounts
    if lost:
        raise NotRecovered(
            f"Stripe has {sum(lost.values())} payments of {listed(sorted(lost))} that the database"
            f" has not: it was restored from an older backup. {RECOVER}"
        )
    if unanswered:
        names = listed(sorted({practice_id for practice_id, _ in unanswered}))
        return [
            f"Stripe gave no answer whether it has newer payments of {names}: asked again later."
        ]
    return []


def listed(practices: list[str]) -> str:
    more = f" and {len(practices) - NAMED} more" if len(practices) > NAMED else ""
    return ", ".join(f"pra_{practice_id}" for practice_id in practices[:NAMED]) + more
