"""Documents of a month on the command line: issued, listed by a preview, and scheduled."""

from collections.abc import Callable

from sqlalchemy import select

from billing.audit_log import record
from billing.issuing.monthly import IssueReport, MonthlyDocuments, issue_month
from billing.issuing.months import AT_NIGHT, BillingMonth
from billing.issuing.schedule import of_practice, set_schedule
from billing.issuing.statements import STATEMENTS
from billing.issuing.superbills import SUPERBILLS
from billing.payments.context import local_day
from models import AccessAction, DocumentSchedule, Practice
from server.cli.entering import entering_for
from server.command_errors import CommandError
from server.settings import Settings

DOCUMENTS = {"statements": STATEMENTS, "superbills": SUPERBILLS}
SCHEDULE = "portal issue schedule"


class NotIssued(CommandError):
    """Nothing was issued. The text gives the reason."""


async def issue_documents(
    settings: Settings,
    documents: str,
    practice: str,
    month: str,
    echo: Callable[[str], None],
    *,
    is_preview: bool,
) -> bool:
    """Issue a month's documents and print the result. Return whether no client failed."""
    kind, wanted = DOCUMENTS[documents], month_of(month)
    command = f"portal issue {documents}"
    async with entering_for(settings, command, Practice, practice) as (context, row):
        if wanted.last >= local_day(context.now(), row.time_zone):
            raise NotIssued(f"{wanted} is not over in the practice's time zone, {row.time_zone}.")

        def tell(client_id: str, count: int) -> None:
            if is_preview:
                echo(f"cli_{client_id}  {count}")

        if is_preview:
            async with context.engine.begin() as conn:
                await record(conn, context.actor, None, context.now(), AccessAction.READ)
        report = await issue_month(context, row.id, kind, wanted, is_preview=is_preview, tell=tell)
    for line in lines_of_report(report, kind, wanted, is_preview=is_preview):
        echo(line)
    return not report.failed


def lines_of_report(
    report: IssueReport, documents: MonthlyDocuments, month: BillingMonth, *, is_preview: bool
) -> list[str]:
    lines = [f"cli_{client_id}  {reason}" for client_id, reason in report.failures.items()]
    if report.failed:
        lines.append(f"Clients that get none, for reasons as above: {report.failed:,}.")
    issued = "to issue" if is_preview else "issued"
    nouns = f"{documents.noun.capitalize()}s of {month}"
    lines.append(f"{nouns} {issued}: {report.documents:,}, for clients: {report.clients:,}.")
    return lines


def month_of(text: str) -> BillingMonth:
    try:
        return BillingMonth.parse(text)
    except ValueError:
        raise NotIssued(f"{text} is not a month, as 2026-10.") from None


# -- schedule --------------------------------------------------------------------------------------


async def choose_day(settings: Settings, documents: str, practice: str, day: int | None) -> str:
    """Set the day on which documents are issued; None: by command alone. Return a sentence."""
    async with (
        entering_for(settings, SCHEDULE, Practice, practice) as (context, row),
        context.engine.begin() as conn,
    ):
        now = context.now()
        month = await set_schedule(conn, row.id, DOCUMENTS[documents].kind, day, now)
        await record(conn, context.actor, None, now)
    return schedule_sentence(documents, day, month, row.time_zone)


async def show_schedule(settings: Settings, documents: str, practice: str) -> str:
    columns = select(DocumentSchedule.day_of_month, DocumentSchedule.month)
    async with (
        entering_for(settings, SCHEDULE, Practice, practice) as (context, row),
        context.engine.connect() as conn,
    ):
        schedule = of_practice(row.id, DOCUMENTS[documents].kind)
        found = (await conn.execute(columns.where(schedule))).first()
    if found is None:
        return schedule_sentence(documents, None, None, row.time_zone)
    return schedule_sentence(
        documents, found.day_of_month, BillingMonth(found.month), row.time_zone
    )


def schedule_sentence(
    documents: str, day: int | None, month: BillingMonth | None, time_zone: str
) -> str:
    if day is None or month is None:
        return f"{documents.capitalize()} are issued by command alone."
    first = month.following.first.replace(day=day)
    return (
        f"{documents.capitalize()} are issued on day {day} of the next month, at"
        f" {AT_NIGHT:%H:%M} ({time_zone}): those of {month} on {first}."
    )
