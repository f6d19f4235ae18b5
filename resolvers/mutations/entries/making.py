"""The making of entries: each mutation of a practice's program reads its input and makes one entry.

An entry moves no money: it records an event outside the portal. A key of the other system makes
sure that it is entered once. So an operation may have several entries, unlike `pay`.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import wraps
from typing import TypeVar

from billing.entry.client_ledger import ClientMaker
from billing.entry.commands import ClientEntries, EntryContext, client_entries
from billing.entry.rows import EntryChange, Input
from resolvers.mutations.amounts import to_minor
from resolvers.mutations.entries.errors import catch_entry_errors
from resolvers.mutations.entries.inputs import ForClient, Identified
from resolvers.mutations.entries.references import CLIENT, Path, external_key, row_id
from resolvers.mutations.inputs import GivenAmount
from resolvers.mutations.result import MutationContext, Outcome

G = TypeVar("G")
W = TypeVar("W", bound=Input)
Act = Callable[[MutationContext, G], Awaitable[Outcome]]
INPUT = ("input",)


def entry(act: Act[G]) -> Act[G]:
    """Return a mutation that turns refusals of an entry into outcomes."""

    @wraps(act)
    async def caught(mutation: MutationContext, input: G) -> Outcome:
        return await catch_entry_errors(lambda: act(mutation, input))

    return caught


# -- entries ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """An entry that was made for a client, now or before, and the id of its main row."""

    mutation: MutationContext
    client_id: str
    row_id: str
    change: EntryChange

    def outcome(self, type_: str, **ids: str) -> Outcome:
        """Return the outcome. The client counts as read, however the input names its records."""
        self.mutation.read_ids.add(f"{CLIENT.prefix}_{self.client_id}")
        return Outcome(type_, {"change": self.change, "client_id": self.client_id, **ids})


def entry_context(mutation: MutationContext) -> EntryContext:
    context = mutation.payment_context
    return EntryContext(context.engine, context.now, context.actor, context.turns)


def entries_of(
    mutation: MutationContext, client_id: str
) -> AbstractAsyncContextManager[ClientEntries]:
    """Open a transaction for entries of a client."""
    return client_entries(entry_context(mutation), mutation.viewer.practice_id, client_id)


async def enter_record(
    mutation: MutationContext, input: ForClient, maker: ClientMaker[W], wanted: W
) -> Made:
    """Enter a record of another system for the client that it names."""
    client_id = await row_id(mutation, CLIENT, input.client, (*INPUT, "client"))
    return await enter(mutation, client_id, maker, wanted, input)


async def enter(
    mutation: MutationContext, client_id: str, maker: ClientMaker[W], wanted: W, input: Identified
) -> Made:
    """Enter a record of another system for a client with a known id."""
    async with entries_of(mutation, client_id) as entries:
        entered_id = await entries.enter(maker, wanted, external_key(input.external_id))
    return Made(mutation, client_id, entered_id, entries.change)


def minor(
    mutation: MutationContext, amount: GivenAmount, path: Path, *, signed: bool = False
) -> int:
    return to_minor(amount, mutation.viewer.currency, path, signed=signed)
