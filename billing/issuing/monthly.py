"""The issue of a month's documents, client by client, each in a transaction of its own.

Clients are read by pages and their accounts one at a time, so memory does not grow with the
practice. A second run finds nothing to issue: each client's documents are looked for again while
the client's account is locked.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.entry.commands import ClientEntries, EntryContext, client_entries
from billing.entry.errors import EntryError
from billing.issuing.months import BillingMonth
from models import Client, DocumentKind
from models.database import DatabaseUnavailable, TransientError

# The number of clients that are read at a time.
PAGE = 500
# The number of failures that a report names.
NAMED = 20

log = logging.getLogger("portal.documents")


@dataclass(frozen=True)
class MonthlyDocuments:
    """A kind of document that is issued by the month.

    `may_be_due` is the condition for clients that may get one. `issue` enters a client's documents
    and returns their number.
    """

    kind: DocumentKind
    noun: str
    may_be_due: Callable[[str, BillingMonth], ColumnElement[bool]]
    issue: Callable[[ClientEntries, BillingMonth], Awaitable[int]]


@dataclass
class IssueReport:
    """The result of one run. `failures` has the reasons by client, of the first ones."""

    documents: int = 0
    clients: int = 0
    failed: int = 0
    failures: dict[str, str] = field(default_factory=dict)

    def fail(self, client_id: str, reason: str) -> None:
        self.failed += 1
        if len(self.failures) < NAMED:
            self.failures[client_id] = reason


class Undone(Exception):
    """The end of a preview's transaction, which is rolled back."""


async def issue_month(
    context: EntryContext,
    practice_id: str,
    documents: MonthlyDocuments,
    month: BillingMonth,
    *,
    is_preview: bool = False,
    tell: Callable[[str, int], None] = lambda _, __: None,
) -> IssueReport:
    """Issue the documents of a month that clients of a practice don't have yet.

    If a client's documents can't be issued, the other clients still get theirs. A preview does the
    same and undoes it.
    `tell` is called with each client that gets documents, and their number.
    """
    report = IssueReport()
    async for client_id in clients_due(context.engine, practice_id, documents, month):
        try:
            count = await issue_for_client(
                context, practice_id, client_id, documents, month, is_preview=is_preview
            )
        except DatabaseUnavailable:
            raise
        except (EntryError, TransientError) as error:
            report.fail(client_id, str(error))
        except Exception as error:
            # The text of other errors may have personal data.
            report.fail(client_id, type(error).__name__)
            log.warning("no %s was issued for cli_%s", documents.noun, client_id, exc_info=error)
        else:
            report.documents += count
            report.clients += count > 0
            if count:
                tell(client_id, count)
    return report


async def issue_for_client(
    context: EntryContext,
    practice_id: str,
    client_id: str,
    documents: MonthlyDocuments,
    month: BillingMonth,
    *,
    is_preview: bool,
) -> int:
    """Issue a client's documents of a month, and return their number."""
    count = 0
    try:
        async with client_entries(context, practice_id, client_id) as entries:
            count = await documents.issue(entries, month)
            if is_preview:
                raise Undone
    except Undone:
        pass
    return count


async def clients_due(
    engine: AsyncEngine, practice_id: str, documents: MonthlyDocuments, month: BillingMonth
) -> AsyncIterator[str]:
    """Yield the clients that may get documents, by their ids."""
    condition = documents.may_be_due(practice_id, month)
    clients = select(Client.id).where(Client.practice_id == practice_id, condition)
    after: str | None = None
    while True:
        page = clients if after is None else clients.where(Client.id > after)
        async with engine.connect() as conn:
            found = (await conn.scalars(page.order_by(Client.id).limit(PAGE))).all()
        for client_id in found:
            yield client_id
        if len(found) < PAGE:
            return
        after = found[-1]
