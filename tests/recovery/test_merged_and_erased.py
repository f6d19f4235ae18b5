"""Merged and erased records after a backup, a restore and a recovery."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from sqlalchemy import make_url

from billing.entry.commands import EntryContext, practice_entries
from billing.entry.merging import ClientMerge, merge_clients
from billing.payment_methods.detach import detach_cards
from models import Client, LedgerEntry
from server.cli.client_erasure import erase
from server.settings import Settings
from tests.support import postgres
from tests.support.backups import after_restore, backed_up
from tests.support.card_forms import keep
from tests.support.payments import Paying, paying
from tests.support.portal import KEY
from tests.support.recoveries import assert_whole, recover
from tests.support.reversals import paid

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


async def test_recovery_leaves_merged_and_erased_records_as_they_are(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    async with new_database() as url, paying(url) as portal:
        await portal.letterhead()
        await paid(portal, 3_000)
        await keep(portal)
        await portal.invoice(1_000, portal.other_id)
        await merge_other(portal)
        assert (await portal.pay(1_000, portal.card()))["__typename"] == "PaySucceeded"
        await portal.hears_all()
        is_owned = make_url(url).get_backend_name() == "postgresql"
        owner = postgres.as_owner(url) if is_owned else None
        settings = Settings(database_url=url, database_owner_url=owner, token_key=KEY)
        await erase(settings, portal.client_id, "asked", ["retention"])
        await detach_cards(portal.payment_context)
        await portal.hears_all()
        backup = await backed_up(url, tmp_path)
        before = [await portal.all(table) for table in (Client, LedgerEntry)]
        async with after_restore(portal, backup) as restored:
            report = await recover(restored)
            assert (report.adopted, report.problems) == (0, [])
            await assert_whole(restored)
            assert [await restored.all(table) for table in (Client, LedgerEntry)] == before
        assert {row.name for row in before[0]} == {"Erased client"}


async def merge_other(portal: Paying) -> None:
    """Merge the portal's other client into the first one."""
    context = EntryContext(portal.engine, portal.clock)
    async with practice_entries(context, portal.practice_id) as entries:
        await merge_clients(entries, ClientMerge(portal.other_id, portal.client_id))
