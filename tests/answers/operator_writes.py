"""Writes of a practice's operator and its programs: imports, documents of a month, refunds, merged
and erased clients.

Commands run in another process. Programs send files to a server.
"""

import datetime as dt
import json
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.issuing import schedule
from billing.issuing.months import BillingMonth
from billing.payments.context import local_day
from models import Client, PastImport, Payment, PaymentState, Practice
from tests.answers.api_writes import random_key
from tests.answers.kinds import NotMade, Write
from tests.answers.servers import Judge, Server
from tests.answers.stripe_double import StripeDouble
from tests.answers.world import remove_append_only, restore_append_only
from tests.answers.writing_process import WritingProcess
from tests.support.import_folders import Folder, write_folder

SOURCES = ("old", "older")
NAMES = ("Zoë Brandnew", "Ana Prieto", "Ben Osei", "Cleo Tan")
ISSUED = re.compile(r"issued: [1-9]")
DESPITE = ("--despite-balance", "--despite-dispute", "--despite-retention")


class OperatorWriter:
    """A writer by commands and files. `practices` are the ids of practices by currency."""

    def __init__(
        self,
        judge: Judge,
        double: StripeDouble,
        engine: AsyncEngine,
        process: WritingProcess,
        practices: Mapping[str, str],
        chance: random.Random,
    ) -> None:
        self.judge, self.double, self.engine = judge, double, engine
        self.process, self.practices, self.chance = process, practices, chance
        self.folder = Path(double.path).with_name("export")

    async def write(self) -> Write:
        """Return a random write in a practice."""
        currency = self.chance.choice([*self.practices])
        kind, make = self.chance.choice([*KINDS.items()])
        return Write(kind, f"{currency} dashboard", lambda: make(self, currency))

    @property
    def server(self) -> Server:
        return self.chance.choice([*self.judge.keeping, self.judge.plain])

    # -- imports -----------------------------------------------------------------------------------

    async def import_folder(self, currency: str) -> None:
        """Import a folder of CSV files: a client who may be there, with new records."""
        path = write_folder(self.folder, self.records())
        source = self.chance.choice(SOURCES)
        await self.run("import", str(path), *self.of(currency), "--source", source)

    async def import_by_program(self, currency: str) -> None:
        """Send the same records as NDJSON to a server."""
        lines = [
            json.dumps({name.removesuffix("s"): row})
            for name, rows in self.records().items()
            for row in rows
        ]
        secret = self.judge.secrets[f"{currency} integration"]
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/x-ndjson"}
        source = self.chance.choice(SOURCES)
        answer = await self.server.http.post(
            f"/ingest?source={source}", content="\n".join(lines).encode(), headers=headers
        )
        if answer.status_code != 200:
            raise NotMade(answer.text[:120])

    def records(self) -> Folder:
        """Return a client, who may be known from an earlier import, with a new session and a
        payment.
        """
        client_id = f"c{self.chance.randint(1, 4)}"
        own = {"id": random_key(self.chance), "client_id": client_id}
        date = f"2026-0{self.chance.randint(1, 2)}-03"
        session = {"clinician_id": "t1", "date": date, "description": "Session", "fee": "120"}
        return {
            "clinicians": [{"id": "t1", "name": "Ruth Adeyemi", "npi": "1234567893"}],
            "clients": [{"id": client_id, "name": self.chance.choice(NAMES)}],
            "sessions": [own | session],
            "payments": [own | {"paid_on": date, "amount": "70", "method": "CHECK"}],
        }

    async def undo_import(self, currency: str) -> None:
        """Import a folder, later than any other, and take the import back."""
        self.judge.clock.time += dt.timedelta(seconds=4)
        await self.import_folder(currency)
        imported = select(PastImport.id).where(PastImport.practice_id == self.practices[currency])
        newest = imported.order_by(PastImport.imported_at.desc()).limit(1)
        async with self.engine.connect() as conn:
            id_ = await conn.scalar(newest)
        await self.run("imports", "undo", f"imp_{id_}")

    # -- documents of a month ----------------------------------------------------------------------

    async def issue_statements(self, currency: str) -> None:
        await self.issue("statements", currency)

    async def issue_superbills(self, currency: str) -> None:
        await self.issue("superbills", currency)

    async def issue(self, documents: str, currency: str) -> None:
        today = local_day(self.judge.clock(), await self.time_zone(currency))
        month = BillingMonth.of(today)
        for _ in range(self.chance.randint(1, 3)):
            month = month.before
        arguments = "issue", documents, *self.of(currency), "--month", str(month)
        result = await self.process.run(self.judge.clock(), *arguments)
        # It exits with 1 if any client gets none.
        if not ISSUED.search(result.output):
            raise NotMade(result.output.strip()[-120:])

    async def issue_by_schedule(self, currency: str) -> None:
        """Choose the next day that every month has for the last month's documents, and let the
        server issue them on it.
        """
        today = local_day(self.judge.clock(), await self.time_zone(currency))
        if not 1 <= today.day <= 27:
            raise NotMade("no such day")
        documents = self.chance.choice(["statements", "superbills"])
        day = str(today.day + 1)
        await self.run("issue", "schedule", documents, *self.of(currency), "--day", day)
        self.judge.clock.time += dt.timedelta(hours=30)
        await schedule.issue_due(self.server.application.state.background_context)

    # -- refunds and clients -----------------------------------------------------------------------

    async def refund(self, currency: str) -> None:
        done = (
            Payment.practice_id == self.practices[currency],
            Payment.state == PaymentState.SUCCEEDED,
        )
        async with self.engine.connect() as conn:
            rows = (await conn.execute(select(Payment).where(*done))).all()
        paid = [row for row in rows if self.double.has("payment_intent", row)]
        if not paid:
            raise NotMade("no payment")
        payment = f"pmt_{self.chance.choice(paid).id}"
        await self.run("refund", payment, "--amount", "15")

    async def merge_clients(self, currency: str) -> None:
        """Merge two clients of imports: the others' random names and addresses are refused."""
        imported = await self.clients(currency, Client.name.in_(NAMES))
        if len(imported) < 2:
            raise NotMade("no two clients")
        one, other = self.chance.sample(imported, 2)
        await self.run("client", "merge", f"cli_{one}", "--into", f"cli_{other}")

    async def erase_client(self, currency: str) -> None:
        """Erase a client, with the guards in place that the command suspends and puts back."""
        one = self.chance.choice(await self.clients(currency))
        async with self.engine.begin() as conn:
            await restore_append_only(conn)
        try:
            await self.run("client", "erase", f"cli_{one}", "--reason", "asked for it", *DESPITE)
        finally:
            async with self.engine.begin() as conn:
                await remove_append_only(conn)

    async def clients(self, currency: str, *conditions: Any) -> list[str]:
        own = Client.practice_id == self.practices[currency], *conditions
        async with self.engine.connect() as conn:
            found = await conn.scalars(select(Client.id).where(*own).order_by(Client.id))
            return list(found)

    # -- commands ----------------------------------------------------------------------------------

    async def run(self, *arguments: str) -> str:
        result = await self.process.run(self.judge.clock(), *arguments)
        if result.code:
            raise NotMade(result.output.strip()[-120:])
        return result.output

    def of(self, currency: str) -> tuple[str, str]:
        return "--practice", f"pra_{self.practices[currency]}"

    async def time_zone(self, currency: str) -> str:
        own = select(Practice.time_zone).where(Practice.id == self.practices[currency])
        async with self.engine.connect() as conn:
            found: str = (await conn.execute(own)).scalar_one()
        return found


KINDS: dict[str, Callable[[OperatorWriter, str], Awaitable[None]]] = {
    "imports a folder": OperatorWriter.import_folder,
    "sends an import": OperatorWriter.import_by_program,
    "undoes an import": OperatorWriter.undo_import,
    "issues statements": OperatorWriter.issue_statements,
    "issues superbills": OperatorWriter.issue_superbills,
    "issues by schedule": OperatorWriter.issue_by_schedule,
    "refunds by command": OperatorWriter.refund,
    "merges clients": OperatorWriter.merge_clients,
    "erases a client": OperatorWriter.erase_client,
}
