"""State machine of entries: the books of the statements' machine, entered by mutations.

Each entry is sent by a program of the practice, some of them twice at the same time. At the end the
oracle answers for the client's whole page.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis.stateful import rule
from sqlalchemy import select

from billing.entry.client_ledger import ClientMaker
from billing.entry.credits import Credit, CreditUse
from billing.entry.errors import EntryError, EntryErrorCode
from billing.entry.invoices import Adjustment, InvoiceVoid, NewInvoice, NewLine, WriteOff
from billing.entry.outside_payments import OutsidePayment, OutsideRefund
from billing.entry.statements import StatementPeriod
from identity.tokens import Subject
from models import ExternalReference, Token
from tests.oracle import Oracle
from tests.payments.state_machine import NewDatabase
from tests.payments.state_machine.bookkeeping import AMOUNTS, SIGNS
from tests.payments.state_machine.statements import Statements
from tests.support.comparison import Answered
from tests.support.programs import EVERYTHING, key, mutation

Input = dict[str, Any]
ID = "... on InvoiceEntered { invoice { id } }"
MONEY = "{ amount minorUnits currency }"
PAGE = f"""query ($id: ID!) {{ client(id: $id) {{
  name balance {{ amount {MONEY} payable {MONEY} terms {{ kind amount {MONEY} }} }}
  invoices(first: 100) {{ totalCount nodes {{ number status isPastDue issuedOn dueOn total {MONEY}
    amountDue {MONEY} amountPaid {MONEY} lines {{ description date amount {MONEY} }} }} }}
  payments(first: 100) {{ nodes {{ status method amount {MONEY} refunded {MONEY}
    allocations {{ amount {MONEY} invoice {{ number }} }} receipt {{ number }} }} }}
  statements(first: 100) {{ nodes {{ number periodEnd endingBalance {MONEY} }} }}
  accountHistory(dateRange: {{}}, first: 100) {{ nodes {{ date kind description status
    amount {MONEY} balanceAfter {MONEY} }} }} }} }}"""


def money(minor: int) -> Input:
    sign, units = "-" if minor < 0 else "", abs(minor)
    return {"amount": f"{sign}{units // 100}.{units % 100:02}", "currency": "USD"}


def invoice(invoice_id: str | None) -> Input | None:
    return None if invoice_id is None else {"id": f"inv_{invoice_id}"}


def lines(wanted: NewInvoice) -> list[Input]:
    return [
        {
            "description": line.description,
            "unitPrice": money(line.unit_price_minor or 0),
            "date": line.date and line.date.isoformat(),
        }
        for line in wanted.lines
    ]


# The mutation for each kind of entry, and its input without the key and the client.
INPUTS: dict[type[Any], tuple[str, Callable[[Any], Input]]] = {
    NewInvoice: (
        "issueInvoice",
        lambda one: {
            "lines": lines(one),
            "number": one.number,
            "dueOn": one.due_on and one.due_on.isoformat(),
        },
    ),
    InvoiceVoid: ("voidInvoice", lambda one: {"invoice": invoice(one.invoice_id)}),
    WriteOff: (
        "writeOff",
        lambda one: {
            "invoice": invoice(one.invoice_id),
            "amount": None if one.amount_minor is None else money(one.amount_minor),
        },
    ),
    Adjustment: (
        "adjustInvoice",
        lambda one: {
            "invoice": invoice(one.invoice_id),
            "amount": money(one.amount_minor),
            "description": one.description,
        },
    ),
    Credit: (
        "giveCredit",
        lambda one: {"amount": money(one.amount_minor), "description": one.description},
    ),
    CreditUse: (
        "allocateCredit",
        lambda one: {"invoice": invoice(one.invoice_id), "amount": money(one.amount_minor)},
    ),
    OutsidePayment: (
        "recordPayment",
        lambda one: {
            "amount": money(one.amount_minor),
            "method": one.method.value,
            "invoice": invoice(one.invoice_id),
        },
    ),
    OutsideRefund: (
        "recordRefund",
        lambda one: {
            "payment": {"id": f"pmt_{one.payment_id}"},
            "amount": money(one.amount_minor),
        },
    ),
    StatementPeriod: (
        "issueStatement",
        lambda one: {"periodStart": one.first.isoformat(), "periodEnd": one.last.isoformat()},
    ),
}
OF_CLIENT = ("issueInvoice", "giveCredit", "recordPayment", "issueStatement")


class EnteredBooks(Statements):
    """The books of one client, entered by a program of the practice."""

    entry_count: int = 0

    async def written(self, maker: ClientMaker[Any], wanted: Any) -> str:
        """Send the mutation for an entry. Raise EntryError if it is refused."""
        field, given = INPUTS[type(wanted)]
        self.entry_count += 1
        input_ = given(wanted)
        if field != "voidInvoice":
            input_["externalId"] = key(f"{self.entry_count}")
        if field in OF_CLIENT:
            input_["client"] = {"id": f"cli_{self.portal.client_id}"}
        token = await self.token()
        query = mutation(field, ID if field == "issueInvoice" else "")
        times = 2 if self.chance.random() < 0.3 else 1
        answers = await asyncio.gather(
            *(self.portal.ask(query, token, i=input_) for _ in range(times))
        )
        entered = [answer.json()["data"][field] for answer in answers]
        return self.checked(field, entered)

    def checked(self, field: str, entered: list[Input]) -> str:
        """Return the id of a new invoice, after a check that one of the requests made the entry."""
        changes = Counter(one.get("change") for one in entered)
        if changes[None]:
            assert changes == {None: len(entered)}, entered
            code = entered[0]["code"]
            assert code not in ("CHANGED_AFTER_ENTRY", "NUMBER_TAKEN"), entered
            self.told[code] += 1
            raise EntryError(EntryErrorCode.INVALID_VALUE, code)
        if field != "voidInvoice":
            assert changes["ENTERED"] == 1, entered
        assert changes["ENTERED"] + changes["CHANGED"] <= 1, entered
        self.told["sent twice"] += len(entered) - 1
        return str(entered[0].get("invoice", {}).get("id", ""))[4:]

    @rule(amount=AMOUNTS, sign=SIGNS)
    def merges(self, amount: int, sign: int) -> None:
        self.run(self.merge(sign * amount))

    async def merge(self, minor: int) -> None:
        """Enter an amount for another record of the client, and merge it twice at the same time."""
        other = {"id": f"cli_{self.portal.other_id}"}
        wanted: NewInvoice | Credit = Credit(-minor, "Courtesy")
        if minor > 0:
            wanted = NewInvoice([NewLine("Session", minor)])
        field, given = INPUTS[type(wanted)]
        self.entry_count += 1
        input_ = given(wanted) | {"externalId": key(f"{self.entry_count}"), "client": other}
        token = await self.token()
        entered = (await self.portal.ask(mutation(field), token, i=input_)).json()
        assert entered["data"][field]["change"] == "ENTERED", entered
        merged = {"client": other, "into": {"id": f"cli_{self.portal.client_id}"}}
        query = mutation("mergeClients")
        answers = [self.portal.ask(query, token, i=merged) for _ in range(2)]
        data = [answer.json()["data"] for answer in await asyncio.gather(*answers)]
        changes = sorted(one["mergeClients"]["change"] for one in data)
        assert changes == ["CHANGED", "UNCHANGED"], data
        self.told["merge_clients"] += 1

    async def token(self) -> str:
        """Return the token of a program, which is valid for an hour from now."""
        return await self.portal.token(Subject(self.portal.practice_id), scopes=EVERYTHING)

    async def judge(self) -> None:
        """Compare the client's page with the oracle's."""
        await super().judge()
        portal = self.portal
        token = await self.token()
        async with portal.engine.connect() as conn:
            newest = select(Token.id).order_by(Token.id.desc()).limit(1)
            token_id = str(await conn.scalar(newest))
        given = {"id": f"cli_{portal.client_id}"}
        oracle = await Oracle.over(portal.engine)
        expected = oracle.answer(PAGE, given, token_id, portal.clock())
        answer = (await portal.ask(PAGE, token, **given)).json()
        assert Answered.of(answer) == Answered.of(json.loads(json.dumps(expected)))
        # Each record of the other system is one row.
        references = await portal.all(ExternalReference)
        assert len({one.row_id for one in references if one.kind == "invoice"}) == len(
            [one for one in references if one.kind == "invoice"]
        )
        self.told["judged"] += 1


def made(new: NewDatabase) -> type[EnteredBooks]:
    """Return the machine over databases made by `new`, with counters of its own."""
    own = {"new_database": staticmethod(new), "told": Counter()}
    return type("EnteredBooksOf", (EnteredBooks,), own)
