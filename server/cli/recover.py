"""The command `portal recover`: adopts what Stripe has and a restored database has not."""

from collections.abc import Callable, Iterator

from billing.payments.context import PaymentContext
from billing.recovery.identity import accept_identity, read_identity
from billing.recovery.recover import Report, recover_all
from models import DocumentKind
from server import recovery_check
from server.cli.operators import operator
from server.cli.payments import all_accounts, context_of
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
    """Recover all practices, say what was done, and return whether nothing is left to do."""
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
        yield f"{practice}  {report.adopted} payments were adopted from Stripe."
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
