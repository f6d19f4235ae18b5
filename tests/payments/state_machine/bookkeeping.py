"""State machine of the books: the writers of entries, payments, refunds and disputes in any order.

After each step the ledger's invariants are computed from plain rows, and compared with the API.
"""

import datetime as dt
from collections import Counter
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from billing.entry.client_ledger import ClientMaker
from billing.entry.commands import EntryContext, enter_for_client
from billing.entry.credits import Credit, CreditUse, give_credit, use_credit
from billing.entry.errors import EntryError
from billing.entry.invoices import (
    Adjustment,
    InvoiceVoid,
    NewInvoice,
    NewLine,
    WriteOff,
    adjust_invoice,
    issue_invoice,
    void_invoice,
    write_off_invoice,
)
from billing.entry.outside_payments import (
    OutsidePayment,
    OutsideRefund,
    record_payment,
    record_refund,
)
from models import Allocation, Invoice, LedgerEntry, Payment, PaymentMethodKind
from tests.payments.state_machine import NewDatabase
from tests.payments.state_machine.aftermath import Reversals
from tests.payments.state_machine.judge import went_back
from tests.support import books

AMOUNTS = st.sampled_from([100, 700, 2_500, 9_000])
SIGNS = st.sampled_from([1, 1, 1, -1])
ANY = st.integers(0, 20)

MONEY = "{ minorUnits }"
SHOWN = f"""query ($day: Date!) {{ client {{
  balance {{ amount {MONEY} payable {MONEY} creditApplied {MONEY} terms {{ amount {MONEY} }}
    invoices {{ amountDue {MONEY} }} }}
  then: balance(asOf: $day) {{ amount {MONEY} terms {{ amount {MONEY} }} }}
  accountHistory(dateRange: {{}}, first: 1) {{ nodes {{ balanceAfter {MONEY} }} }}
}} }}"""


class Bookkeeping(Reversals):
    """The books of one client."""

    async def opened(self) -> None:
        await super().opened()
        # The writers number the invoices.
        self.portal.invoice = self.issued  # type: ignore[assignment, method-assign]
        self.days = [self.portal.clock().date()]

    async def enter(self, maker: ClientMaker[Any], wanted: Any) -> str | None:
        """Make an entry, unless the rules refuse it."""
        with suppress(EntryError):
            id_ = await self.written(maker, wanted)
            self.told[maker.__name__] += 1
            return id_
        return None

    async def written(self, maker: ClientMaker[Any], wanted: Any) -> str:
        """Make an entry by its writer. Raise EntryError if the rules refuse it."""
        portal = self.portal
        context = EntryContext(portal.engine, portal.clock)
        return await enter_for_client(context, portal.practice_id, portal.client_id, maker, wanted)

    async def issued(self, amount: int, *_: Any) -> str:
        id_ = await self.enter(issue_invoice, self.new_invoice(amount))
        assert id_ is not None
        return id_

    def new_invoice(self, amount: int) -> NewInvoice:
        return NewInvoice([NewLine("Session", amount)], number=f"B-{len(self.invoices)}")

    # -- the writers -------------------------------------------------------------------------------

    @rule(amount=AMOUNTS, sign=SIGNS)
    def issues(self, amount: int, sign: int) -> None:
        self.invoices.append(self.run(self.issued(sign * amount)))

    @rule(k=ANY)
    def voids(self, k: int) -> None:
        self.run(self.enter(void_invoice, InvoiceVoid(self.invoice(k))))

    @rule(k=ANY, amount=st.sampled_from([None, 100, 700]))
    def writes_off(self, k: int, amount: int | None) -> None:
        self.run(self.enter(write_off_invoice, WriteOff(self.invoice(k), amount)))

    @rule(k=ANY, amount=AMOUNTS, sign=SIGNS)
    def adjusts(self, k: int, amount: int, sign: int) -> None:
        wanted = Adjustment(self.invoice(k), sign * amount, "Sliding scale")
        self.run(self.enter(adjust_invoice, wanted))

    @rule(amount=AMOUNTS, sign=SIGNS)
    def gives_credit(self, amount: int, sign: int) -> None:
        self.run(self.enter(give_credit, Credit(sign * amount, "Courtesy")))

    @rule(k=ANY, amount=AMOUNTS)
    def uses_credit(self, k: int, amount: int) -> None:
        self.run(self.enter(use_credit, CreditUse(self.invoice(k), amount)))

    @rule(k=st.one_of(st.none(), ANY), amount=AMOUNTS)
    def receives_cash(self, k: int | None, amount: int) -> None:
        invoice_id = None if k is None else self.invoice(k)
        wanted = OutsidePayment(PaymentMethodKind.CASH, amount, invoice_id=invoice_id)
        self.run(self.enter(record_payment, wanted))

    @rule(k=ANY, amount=AMOUNTS)
    def gives_cash_back(self, k: int, amount: int) -> None:
        async def given() -> None:
            paid = [one.id for one in await self.portal.all(Payment) if one.method == "CASH"]
            if paid:
                await self.enter(record_refund, OutsideRefund(paid[k % len(paid)], amount))

        self.run(given())

    @rule()
    def day_passes(self) -> None:
        async def passed() -> None:
            await self.pass_time(dt.timedelta(days=1))
            self.portal.bearer = await self.portal.token()
            self.days.append(self.portal.clock().date())

        self.run(passed())

    def invoice(self, k: int) -> str:
        return self.invoices[k % len(self.invoices)]

    # -- the invariants ----------------------------------------------------------------------------

    @invariant()
    def books_are_in_order(self) -> None:
        if hasattr(self, "days"):
            self.run(self.hold())

    async def hold(self) -> None:
        """Assert the invariants of ledger, allocations and answers."""
        portal = self.portal
        ledger, puts = await portal.all(LedgerEntry), await portal.all(Allocation)
        billed = Counter({one.id: 0 for one in await portal.all(Invoice)})
        paid = Counter(dict.fromkeys(billed, 0))
        for row in ledger:
            if row.invoice_id:
                billed[row.invoice_id] += row.amount_minor
        for row in puts:
            paid[row.invoice_id] += row.amount_minor
        funds = -sum(row.amount_minor for row in ledger if row.invoice_id is None)
        unallocated = funds - sum(paid.values())
        assert unallocated >= 0, "unallocated funds are below zero"
        for id_, amount in billed.items():
            of_negative = paid[id_] == amount < 0
            assert of_negative or 0 <= paid[id_] <= amount, "an invoice is paid beyond its bill"
        balance = sum(row.amount_minor for row in ledger)
        assert balance == sum(billed.values()) - sum(paid.values()) - unallocated
        day = self.days[len(ledger) % len(self.days)]
        until = sum(row.amount_minor for row in ledger if row.posted_on <= day)
        await self.compare(balance, until, day)

    async def compare(self, balance: int, until: int, day: dt.date) -> None:
        """Compare the sums of the rows with the API's answer."""
        response = await self.portal.ask(SHOWN, self.portal.bearer, day=day.isoformat())
        answer = response.json()
        if "errors" in answer:
            # The token has expired: a step that lets time pass makes another.
            assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED", answer
            return
        client = answer["data"]["client"]
        now, then = client["balance"], client["then"]
        assert minor(now["amount"]) == sum(minor(one["amount"]) for one in now["terms"]) == balance
        assert minor(then["amount"]) == sum(minor(one["amount"]) for one in then["terms"]) == until
        due = sum(minor(one["amountDue"]) for one in now["invoices"])
        assert minor(now["payable"]) == due - minor(now["creditApplied"])
        entries = client["accountHistory"]["nodes"]
        assert not entries or minor(entries[0]["balanceAfter"]) == balance
        self.told["compared"] += 1

    async def judge(self) -> None:
        """Assert that the ledger of each payment by card equals Stripe's captures and reversals."""
        await self.hold()
        charged = sum(one["amount"] for one in self.portal.charges())
        back = went_back(self.portal)
        by_card = {one.id for one in await self.portal.all(Payment) if one.method == "CARD"}
        entered = [one for one in await self.portal.all(LedgerEntry) if one.payment_id in by_card]
        assert charged == -sum(one.amount_minor for one in entered if one.kind == "PAYMENT")
        assert back["refund"] == sum(one.amount_minor for one in entered if one.kind == "REFUND")
        assert back["dispute"] == sum(one.amount_minor for one in entered if one.kind == "DISPUTE")
        await books.assert_verified(self.portal.engine)


def minor(money: dict[str, Any]) -> int:
    return int(money["minorUnits"])


def made(new: NewDatabase) -> type[Bookkeeping]:
    """Return the machine over databases made by `new`, with counters of its own."""
    own = {"new_database": staticmethod(new), "told": Counter()}
    return type("BookkeepingOf", (Bookkeeping,), own)
