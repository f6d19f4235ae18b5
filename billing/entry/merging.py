"""The merge of two records of one client: one is closed, the other goes on.

Ledger rows are only added, and each belongs to its client's hash chain. So the merged client keeps
its history and documents, and its balance is carried over by rows of the usual kinds: an adjustment
closes each invoice with an amount due, and an invoice of the surviving client bills that amount;
unused credit is withdrawn and given again.

The surviving record gets the details that it has not from the merged one. Sessions that were on no
document move. The merged client has the survivor's e-mail address from then on, and each contact of
one has the same rights to the other. So everybody with access to the survivor's bills also has
access to the history of the merged client. Cards do not move: Stripe keeps each with one customer,
and those that the client or a contact has saved for the merged client are removed.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sqlalchemy import select

from billing.entry import validation as check
from billing.entry.client_ledger import ClientLedger, InvoiceRecord
from billing.entry.commands import ClientEntries, PracticeEntries
from billing.entry.credits import Credit, give_credit
from billing.entry.errors import no_such
from billing.entry.invoices import Adjustment, NewInvoice, NewLine, adjust_invoice, issue_invoice
from billing.entry.people import (
    ClientChange,
    ClientDetails,
    ContactLink,
    change_client,
    link_contact,
)
from billing.entry.practices import stored_address
from billing.entry.rows import Draft, EntryChange
from billing.payment_methods.detach import record_detachment
from billing.payment_methods.store import remove_from_file
from billing.payments.customers import owner_of_row
from models import Client, ContactRight, PaymentMethod, Session, SuperbillLine

CLOSED = "Balance moved to the client's other record from"
WITHDRAWN = "Unused credit moved to the client's other record"
CARRIED, GIVEN = "Balance of invoice", "Unused credit of the client's former record"
# The details of a client that the surviving record gets if it has none.
DETAILS = ("email", "phone", "date_of_birth", "clinician_id", "address")


@dataclass(frozen=True)
class ClientMerge:
    """A record of a client to close, and the record of the same client that goes on."""

    kind: ClassVar[str] = "client_merge"

    client_id: str
    into_id: str

    def __post_init__(self) -> None:
        check.check_form("client_id", self.client_id, check.ID)
        check.check_form("into_id", self.into_id, check.ID)
        if self.client_id == self.into_id:
            raise check.invalid("into_id", "is the same client")


async def merge_clients(entries: PracticeEntries, wanted: ClientMerge) -> EntryChange:
    """Merge a client into another one. A repeated merge carries later entries over, if any."""
    async with both(entries, wanted) as (merged, surviving):
        check_mergeable(merged.ledger, surviving.ledger)
        await carry_balance(merged, surviving)
        await move_sessions(merged, surviving)
        await share_details(merged, surviving)
        await share_contacts(entries, merged, surviving)
        await remove_merged_cards(merged)
        await close(merged, wanted)
        is_changed = merged.is_changed or surviving.is_changed
    return EntryChange.CHANGED if is_changed else EntryChange.UNCHANGED


@asynccontextmanager
async def both(
    entries: PracticeEntries, wanted: ClientMerge
) -> AsyncIterator[tuple[ClientEntries, ClientEntries]]:
    """Yield the entries of both clients, which are locked in the order of their ids."""
    await check_exists(entries, wanted.client_id, "client_id")
    await check_exists(entries, wanted.into_id, "into_id")
    first_id, second_id = sorted([wanted.client_id, wanted.into_id])
    async with entries.of_client(first_id) as first, entries.of_client(second_id) as second:
        yield (first, second) if first_id == wanted.client_id else (second, first)


async def check_exists(entries: PracticeEntries, client_id: str, field: str) -> None:
    mine = Client.practice_id == entries.facts.id, Client.id == client_id
    if await entries.conn.scalar(select(Client.id).where(*mine)) is None:
        raise no_such("client", field)


def check_mergeable(merged: ClientLedger, surviving: ClientLedger) -> None:
    if merged.client["merged_into"] not in (None, surviving.id):
        raise check.invalid("client_id", "is merged into another client")
    if surviving.client["merged_into"] is not None:
        raise check.invalid("into_id", "is merged into another client itself")
    merged.refuse_while_paying()


async def carry_balance(merged: ClientEntries, surviving: ClientEntries) -> None:
    """Close each amount due and the unused credit, and enter the same for the survivor.

    The new invoices keep the days, so that nothing gets younger in the practice's aging.
    """
    for invoice in list(merged.ledger.open_invoices.values()):
        due = invoice.due
        await merged.enter(adjust_invoice, Adjustment(invoice.id, -due, CLOSED))
        await surviving.enter(issue_invoice, carried(invoice, due))
    credit = merged.ledger.unallocated
    if credit:
        await merged.enter(give_credit, Credit(-credit, WITHDRAWN))
        await surviving.enter(give_credit, Credit(credit, GIVEN))


def carried(invoice: InvoiceRecord, due: int) -> NewInvoice:
    """Return the survivor's invoice for an amount due of the merged client."""
    values = invoice.values
    return NewInvoice(
        lines=[NewLine(f"{CARRIED} {invoice.number}", due)],
        due_on=values["due_on"],
        issued_on=values["issued_on"],
        clinician_id=values["clinician_id"],
        is_shared=values["shared_at"] is not None,
    )


async def move_sessions(merged: ClientEntries, surviving: ClientEntries) -> None:
    """Move the sessions that no invoice and no superbill has ever named."""
    ledger = merged.ledger
    named = {line["session_id"] for one in ledger.invoices.values() for line in one.lines}
    on_superbill = select(SuperbillLine.session_id).where(
        SuperbillLine.practice_id == merged.facts.id, SuperbillLine.session_id.in_(ledger.sessions)
    )
    named |= set(await merged.conn.scalars(on_superbill))
    for session_id in sorted(ledger.sessions.keys() - named):
        await merged.enter(move_session, SessionMove(session_id, surviving.ledger.id))


@dataclass(frozen=True)
class SessionMove:
    """A session, and the client who has it from now on."""

    kind: ClassVar[str] = "session_move"

    session_id: str
    client_id: str


def move_session(draft: Draft, ledger: ClientLedger, wanted: SessionMove) -> str:
    draft.alter(Session, {"id": wanted.session_id}, client_id=wanted.client_id)
    return wanted.session_id


# -- details, contacts and cards -------------------------------------------------------------------


async def share_details(merged: ClientEntries, surviving: ClientEntries) -> None:
    """Complete the survivor's details, and give the merged client the same e-mail address."""
    own, other = details_of(surviving.ledger.client), details_of(merged.ledger.client)
    missing = {name: getattr(other, name) for name in DETAILS if getattr(own, name) is None}
    whole = replace(own, **missing)
    await change_details(surviving, own, whole)
    await change_details(merged, other, replace(other, email=whole.email))


def details_of(client: Any) -> ClientDetails:
    names = ("name", *DETAILS[:-1])
    return ClientDetails(**{name: client[name] for name in names}, address=stored_address(client))


async def change_details(of_client: ClientEntries, before: Any, details: ClientDetails) -> None:
    if details != before:
        change = ClientChange(of_client.ledger.id, details)
        await of_client.enter(
            lambda draft, ledger, wanted: change_client(draft, ledger.practice, wanted), change
        )


async def share_contacts(
    entries: PracticeEntries, merged: ClientEntries, surviving: ClientEntries
) -> None:
    """Give each contact of one client the same rights to the other, if it has none there."""
    of_merged = await links_of(entries, merged.ledger.id)
    of_surviving = await links_of(entries, surviving.ledger.id)
    await link_all(surviving, of_merged.keys() - of_surviving.keys(), of_merged)
    await link_all(merged, of_surviving.keys() - of_merged.keys(), of_surviving)


async def link_all(
    of_client: ClientEntries, contact_ids: Iterable[str], links: dict[str, ContactLink]
) -> None:
    for contact_id in sorted(contact_ids):
        await of_client.enter(link_contact, links[contact_id])


async def links_of(entries: PracticeEntries, client_id: str) -> dict[str, ContactLink]:
    """Return the rights to a client, by the contacts' ids."""
    columns = (
        *(ContactRight.contact_id, ContactRight.relation),
        *(ContactRight.sees_documents, ContactRight.can_pay, ContactRight.until),
    )
    rows = await entries.conn.execute(
        select(*columns).where(
            ContactRight.practice_id == entries.facts.id, ContactRight.client_id == client_id
        )
    )
    return {str(row.contact_id): ContactLink(*row) for row in rows}


async def remove_merged_cards(merged: ClientEntries) -> None:
    """Take the merged client's cards off file, and have Stripe detach them after the commit."""
    conn, now = merged.conn, merged.context.now()
    cards = await conn.execute(
        select(PaymentMethod).where(
            PaymentMethod.practice_id == merged.facts.id,
            PaymentMethod.client_id == merged.ledger.id,
            PaymentMethod.removed_at.is_(None),
        )
    )
    today = merged.context.stamp(merged.facts.time_zone).today
    for card in cards.all():
        merged.is_changed = True
        await remove_from_file(conn, card, now, today)
        await record_detachment(conn, owner_of_row(card).holder, card.stripe_id, now)


async def close(merged: ClientEntries, wanted: ClientMerge) -> None:
    if merged.ledger.client["merged_into"] is None:
        await merged.enter(close_merged, wanted)


def close_merged(draft: Draft, ledger: ClientLedger, wanted: ClientMerge) -> str:
    """Archive a merged client, and name the client that goes on."""
    left = ledger.client["archived_on"] or draft.today
    draft.alter(Client, {"id": ledger.id}, archived_on=left, merged_into=wanted.into_id)
    return ledger.id
