"""The command `portal recover`: adopts the objects at Stripe that a restored database lacks."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from sqlalchemy import select

from billing.payments.context import PaymentContext
from billing.recovery.identity import accept_identity, read_identity
from billing.recovery.recover import NotAssigned, assign, recover_all
from billing.recovery.report import Report
from billing.stripe import StripeTrouble
from models import Client, DocumentKind
from planner.deferred import FieldError
from resolvers.ids import bare
from server import recovery_check
from server.cli.operators import operator
from server.cli.payments import NotDone, all_accounts, context_of
from server.cli.single_process import sole_server
from server.settings import Settings

COMMAND = "portal recover"
NAMES = {
    DocumentKind.INVOICE: "Invoices",
    DocumentKind.STATEMENT: "Statements",
    DocumentKind.SUPERBILL: "Superbills",
    DocumentKind.RECEIPT: "Receipts",
}
MOVED = "The database is accepted as it is: its numbers go on where they were."


async def recover(settings: Settings, say: Callable[[str], None], *, restored: bool) -> bool:
    """Recover all practices, report each step, and return whether nothing is left to do."""
    is_complete = True
    with sole_server(settings.database_url):
        async with context_of(settings) as context:
            async for report in recover_all(
                context, lambda practice_id: operator(practice_id, COMMAND), restored=restored
            ):
                for line in lines(report):
                    say(line)
                is_complete &= report.is_complete
    return is_complete


def lines(report: Report) -> Iterator[str]:
    """Yield the lines about a practice."""
    practice = f"pra_{report.practice_id}"
    if not report.was_needed:
        yield f"{practice}  Nothing shows that the database was restored: nothing was changed."
    else:
        yield f"{practice}  Payments adopted from Stripe: {report.adopted}."
    for moved in report.moved:
        yield (
            f"{practice}  {NAMES[moved.kind]} go on after {moved.after}: the backup's last was"
            f" {moved.before}, and higher ones may have been given out since."
        )
    for problem in report.problems:
        yield f"{practice}  {problem.subject}  {problem.reason}."


async def accept_move(settings: Settings) -> str:
    """Accept a database that was moved without a loss. Raise NotRecovered if Stripe has more."""
    async with context_of(settings) as context:
        await refuse_if_lost(context)
        async with context.engine.begin() as conn:
            await accept_identity(conn, await read_identity(conn))
    return MOVED


async def refuse_if_lost(context: PaymentContext) -> None:
    accounts = await all_accounts(context)
    unanswered = await recovery_check.refuse_lost_payments(context, accounts)
    if unanswered:
        raise recovery_check.NotRecovered(unanswered[0])


async def assign_payment(settings: Settings, assignment: str) -> str:
    """Adopt a payment for a client, given as `pi_…=cli_…`, and return a sentence."""
    intent_id, _, client = assignment.partition("=")
    async with context_of(settings) as context:
        practice_id, client_id = await find_client(context, client)
        own = replace(context, actor=operator(practice_id, COMMAND))
        try:
            await assign(own, practice_id, intent_id, client_id)
        except NotAssigned as error:
            raise NotDone(str(error)) from None
        except StripeTrouble:
            raise NotDone("Stripe doesn't answer at the moment: try again later.") from None
    return f"{intent_id} is a payment of {client} now."


async def find_client(context: PaymentContext, client: str) -> tuple[str, str]:
    """Return the practice and the row id of a client, given as `cli_…`."""
    try:
        client_id = bare(client) if client.startswith("cli_") else ""
    except FieldError:
        client_id = ""
    statement = select(Client.practice_id).where(Client.id == client_id)
    async with context.engine.connect() as conn:
        practice_id = await conn.scalar(statement) if client_id else None
    if practice_id is None:
        raise NotDone(f"There is no client {client}: give the payment as pi_…=cli_….")
    return practice_id, client_id
