"""Kinds of writes that are compared one by one: what people see right before and right after each.

A kind counts how often it was made, and how often a read had another answer after it.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from sandbox.errors import StripeError
from tests.answers.servers import Judge
from tests.support.comparison import Case

OF_PRACTICE = """{
  clients(first: 15) { totalCount nodes { name balance { amount { amount } } } }
  practice {
    payments(first: 3) { totalCount
      nodes { id status refunded { amount } disputedAmount { amount } failure { reason } } }
    invoices(first: 3) { totalCount nodes { number status amountDue { amount } } }
    statements(first: 1) { totalCount nodes { number } }
    superbills(first: 1) { totalCount nodes { number } }
  }
}"""
OF_CLIENT = """{ client {
  name balance { amount { amount } payable { amount } } canPay { isAllowed reason }
  activePayment { id status }
  payments(first: 3) { totalCount
    nodes { id status refunded { amount } disputedAmount { amount } failure { reason } } }
  paymentMethods { id last4 expMonth expYear isDefault }
  invoices(first: 3) { totalCount nodes { number status isDisputed amountDue { amount } } }
  accountHistory(first: 3) { totalCount nodes { description amount { amount } } }
  statements(first: 1) { totalCount } superbills(first: 1) { totalCount }
} }"""


class NotMade(Exception):
    """The write came to something else than its kind says."""


@dataclass(frozen=True)
class Write:
    """A write of a kind, about to be made. `who` sees it: a client, or a practice's dashboard."""

    kind: str
    who: str
    make: Callable[[], Awaitable[None]]


@dataclass
class Kinds:
    """The writes of all kinds so far: those that were made, and those that a read showed."""

    made: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    # By kind and reason.
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, other: "Kinds") -> None:
        self.made += other.made
        self.seen += other.seen
        self.refused += other.refused

    def unseen(self, kinds: Iterable[str]) -> list[str]:
        """Return the kinds of which no write was seen."""
        return [kind for kind in kinds if not self.seen[kind]]

    def __str__(self) -> str:
        lines = [f"{'made':>7} {'seen':>7} {'refused':>7}"]
        for kind in sorted({*self.made, *(kind for kind, _ in self.refused)}):
            reasons = {why: n for (of, why), n in self.refused.items() if of == kind}
            counts = f"{self.made[kind]:7,} {self.seen[kind]:7,} {sum(reasons.values()):7,}"
            lines.append(f"{counts}  {kind} {reasons or ''}")
        return "\n".join(lines)


class SeenWrites:
    """Writes that a judge compares reads around. Each read is one that the write may change."""

    def __init__(self, judge: Judge) -> None:
        self.judge, self.kinds = judge, Kinds()
        # A judge tells reads apart by their identity.
        self.cases: dict[str, list[Case]] = {}

    async def make(self, write: Write) -> str:
        """Make a write, and return its result in words."""
        reads = self.reads_of(write.who)
        await self.judge.check_all(reads)
        before = self.judge.told["changed"]
        try:
            await write.make()
            result = "made"
        except (NotMade, StripeError) as error:
            result = str(error)
            self.kinds.refused[write.kind, result[:40]] += 1
        else:
            self.kinds.made[write.kind] += 1
        words = f"{write.kind}, {write.who}: {result}"
        self.judge.note(words)
        await self.judge.check_all(reads)
        if result == "made":
            self.kinds.seen[write.kind] += self.judge.told["changed"] > before
        return words

    def reads_of(self, who: str) -> list[Case]:
        """Return the reads of a client and of their practice's dashboard."""
        dashboard = f"{who.partition(' ')[0]} dashboard"
        reads = [Case(dashboard, OF_PRACTICE)]
        if who != dashboard:
            reads.append(Case(who, OF_CLIENT))
        return self.cases.setdefault(who, reads)
