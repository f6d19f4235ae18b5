"""Two records of one client, merged: the balance, the documents, contacts, cards, and refusals."""

import datetime as dt
import itertools
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import insert

from billing.entry.commands import practice_entries
from billing.entry.credits import Credit, give_credit
from billing.entry.errors import EntryError, EntryErrorCode
from billing.entry.invoices import InvoiceVoid, NewInvoice, NewLine, issue_invoice, void_invoice
from billing.entry.merging import ClientMerge, merge_clients
from billing.entry.outside_payments import OutsidePayment, record_payment
from billing.entry.people import (
    CLIENT,
    ClientChange,
    ClientDetails,
    ClientRestore,
    ContactDetails,
    ContactLink,
    add_contact,
    change_client,
    link_contact,
    restore_client,
)
from billing.entry.rows import EntryChange
from identity.sign_in.people import people
from models import (
    AccessEntry,
    Client,
    ContactRight,
    Detachment,
    Invoice,
    LedgerEntry,
    Letterhead,
    Payment,
    PaymentMethod,
    PaymentMethodKind,
    PaymentState,
    Relation,
    Session,
    Superbill,
    SuperbillLine,
)
from models.ids import new_id
from tests.support.books import assert_verified
from tests.support.entries import EntryDesk, entry_desk
from tests.support.factories import DEFAULTS

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
SEEDS = itertools.count(9_000)


@pytest.fixture(scope="module")
async def shared_desk(new_database: NewDatabase) -> AsyncIterator[EntryDesk]:
    """Yield a desk whose books are whole at the end, as `portal verify` finds."""
    async with new_database() as url, entry_desk(url) as desk:
        yield desk
        await assert_verified(desk.engine)


@pytest.fixture
async def desk(shared_desk: EntryDesk) -> EntryDesk:
    """Return a desk with a practice and a client of its own, in the module's database."""
    return await EntryDesk(shared_desk.engine, next(SEEDS)).open()


async def merge(desk: EntryDesk, client_id: str, into_id: str) -> EntryChange:
    async with practice_entries(desk.context, desk.practice_id) as entries:
        return await merge_clients(entries, ClientMerge(client_id, into_id))


async def in_practice(desk: EntryDesk, maker: Any, wanted: Any) -> str:
    async with practice_entries(desk.context, desk.practice_id) as entries:
        return await entries.enter(maker, wanted)


async def balances(desk: EntryDesk, *clients: str) -> list[int]:
    return [await desk.sum(LedgerEntry, client_id=client) for client in clients]


def pay(minor: int) -> OutsidePayment:
    return OutsidePayment(PaymentMethodKind.CASH, minor)


async def test_balance_goes_to_the_record_that_goes_on(desk: EntryDesk) -> None:
    merged, surviving = desk.client_id, await desk.add_client("Ana Prieto")
    day = dt.date(2026, 2, 1)
    paid = await desk.invoice(10_000)
    await desk.enter(record_payment, pay(10_000))
    owed = await desk.invoice(7_500, 2_500, issued_on=day, due_on=day, is_shared=False)
    assert await balances(desk, merged, surviving) == [10_000, 0]
    assert await merge(desk, merged, surviving) is EntryChange.CHANGED
    assert await balances(desk, merged, surviving) == [0, 10_000]
    assert (await desk.due(paid), await desk.due(owed)) == (0, 0)
    (carried,) = await desk.rows(Invoice, client_id=surviving)
    assert (carried["issued_on"], carried["due_on"], carried["shared_at"]) == (day, day, None)
    assert await desk.due(carried["id"]) == 10_000
    # The documents stay where they are.
    assert {row["id"] for row in await desk.rows(Invoice, client_id=merged)} == {paid, owed}
    row = await desk.row(Client, merged)
    assert (row["merged_into"], row["archived_on"]) == (surviving, dt.date(2026, 3, 2))
    clients = {row["client_id"] for row in await desk.rows(AccessEntry)}
    assert {merged, surviving} <= clients
    # Done again it changes nothing.
    before = await desk.counts()
    assert await merge(desk, merged, surviving) is EntryChange.UNCHANGED
    assert await desk.counts() == before
    # What came since is carried by another merge.
    await desk.invoice(1_000)
    assert await merge(desk, merged, surviving) is EntryChange.CHANGED
    assert await balances(desk, merged, surviving) == [0, 11_000]


async def test_unused_credit_and_open_sessions_go_too(desk: EntryDesk) -> None:
    merged, surviving = desk.client_id, await desk.add_client("Ana Prieto")
    await desk.enter(give_credit, Credit(5_000, "Courtesy"))
    invoiced, voided, open_, on_superbill = [await desk.session() for _ in range(4)]
    await superbill(desk, on_superbill)
    await desk.enter(issue_invoice, NewInvoice([NewLine(session_id=invoiced)]))
    ended = await desk.enter(issue_invoice, NewInvoice([NewLine(session_id=voided)]))
    await desk.enter(void_invoice, InvoiceVoid(ended))
    await merge(desk, merged, surviving)
    assert await balances(desk, merged, surviving) == [0, 10_000]
    owners = {row["id"]: row["client_id"] for row in await desk.rows(Session)}
    stays = dict.fromkeys((invoiced, voided, on_superbill), merged)
    assert owners == {**stays, open_: surviving}
    desk.client_id = surviving
    assert await desk.unallocated() == 5_000
    await desk.enter(issue_invoice, NewInvoice([NewLine(session_id=open_)]))


async def superbill(desk: EntryDesk, session_id: str) -> None:
    """Insert a superbill with one session."""
    head = next(row["id"] for row in await desk.rows(Letterhead))
    own = {"practice_id": desk.practice_id, "id": new_id(), "serial": 1}
    bill = DEFAULTS[Superbill] | own | {"client_id": desk.client_id, "letterhead_id": head}
    line = DEFAULTS[SuperbillLine] | {"practice_id": desk.practice_id, "superbill_id": own["id"]}
    async with desk.engine.begin() as conn:
        await conn.execute(insert(Superbill).values(bill))
        await conn.execute(insert(SuperbillLine).values(line | {"session_id": session_id}))


async def test_details_contacts_and_cards_follow_their_rules(desk: EntryDesk) -> None:
    born = dt.date(1990, 2, 28)
    surviving = await in_practice(desk, CLIENT.add, ClientDetails("Ana Prieto", "ana@example.com"))
    details = ClientDetails("A. Prieto", "former@example.com", "1", born)
    await in_practice(desk, change_client, ClientChange(desk.client_id, details))
    merged = desk.client_id
    mother, partner = [
        await in_practice(desk, add_contact, ContactDetails(name)) for name in ("Gail", "Pat")
    ]
    last = dt.date(2027, 6, 30)
    rights = ContactLink(mother, Relation.PARENT, sees_documents=True, can_pay=False, until=last)
    await desk.enter(link_contact, rights)
    desk.client_id = surviving
    await desk.enter(
        link_contact, ContactLink(partner, Relation.PARTNER, sees_documents=False, can_pay=True)
    )
    card = DEFAULTS[PaymentMethod] | {"practice_id": desk.practice_id, "id": new_id()}
    card |= {"client_id": merged, "stripe_id": f"pm_{merged}", "is_default": True}
    async with desk.engine.begin() as conn:
        await conn.execute(insert(PaymentMethod).values(card))
    await merge(desk, merged, surviving)
    row = await desk.row(Client, surviving)
    assert (row["name"], row["email"], row["phone"], row["date_of_birth"]) == (
        *("Ana Prieto", "ana@example.com", "1", born),
    )
    rights_now = {
        (
            *(one["client_id"], one["contact_id"]),
            *(one["sees_documents"], one["can_pay"], one["until"]),
        )
        for one in await desk.rows(ContactRight)
    }
    assert rights_now == {
        (client, *right)
        for client in (merged, surviving)
        for right in ((mother, True, False, last), (partner, False, True, None))
    }
    (kept,) = await desk.rows(PaymentMethod)
    assert (kept["removed_at"] is not None, kept["is_default"]) == (True, False)
    assert [row["stripe_id"] for row in await desk.rows(Detachment)] == [f"pm_{merged}"]
    # Whoever signs in begins as the record that goes on, and may switch to the merged one.
    async with desk.engine.connect() as conn:
        found = await people(conn, "ana@example.com", desk.practice_id)
    assert [str(one.id) for one in found] == [surviving, merged]


async def test_restored_client_is_of_its_own_again(desk: EntryDesk) -> None:
    surviving = await desk.add_client("Ana Prieto")
    await desk.invoice(1_000)
    await merge(desk, desk.client_id, surviving)
    await in_practice(desk, restore_client, ClientRestore(desk.client_id))
    row = await desk.row(Client, desk.client_id)
    assert (row["merged_into"], row["archived_on"]) == (None, None)
    assert await balances(desk, desk.client_id, surviving) == [0, 1_000]


async def test_merge_is_refused(desk: EntryDesk) -> None:
    first, second, third = desk.client_id, *[await desk.add_client("Ana") for _ in range(2)]
    elsewhere = await EntryDesk(desk.engine, next(SEEDS)).open()

    async def refused(*ids: str) -> tuple[EntryErrorCode, str | None]:
        before = await desk.counts()
        with pytest.raises(EntryError) as caught:
            await merge(desk, *ids)
        assert await desk.counts() == before
        return caught.value.code, caught.value.field

    invalid, nobody = EntryErrorCode.INVALID_VALUE, EntryErrorCode.NO_SUCH_ROW
    assert await refused(first, first) == (invalid, "into_id")
    assert await refused(first, elsewhere.client_id) == (nobody, "into_id")
    assert await refused(elsewhere.client_id, first) == (nobody, "client_id")
    payment = DEFAULTS[Payment] | {"practice_id": desk.practice_id, "client_id": first}
    payment |= {"id": new_id(), "method": "CARD", "state": PaymentState.CREATED, "paid_at": None}
    async with desk.engine.begin() as conn:
        await conn.execute(insert(Payment).values(payment))
    assert await refused(first, second) == (EntryErrorCode.PAYMENT_UNDER_WAY, None)
    await merge(desk, second, third)
    assert await refused(second, first) == (invalid, "client_id")
    assert await refused(first, second) == (invalid, "into_id")


@pytest.mark.share(4)
@pytest.mark.parametrize("seed", range(4))
async def test_random_books_come_to_the_same_sums(desk: EntryDesk, seed: int) -> None:
    chance = random.Random(seed)
    clients = [desk.client_id, await desk.add_client("Ana"), await desk.add_client("Ana P.")]
    expected = 0
    for _ in range(3):
        for desk.client_id in clients[:2]:
            amounts = [chance.randrange(-2_000, 9_000) for _ in range(chance.randrange(1, 3))]
            await desk.invoice(*amounts)
            paid, given = chance.randrange(1, 9_000), chance.randrange(1, 3_000)
            await desk.enter(record_payment, pay(paid))
            await desk.enter(give_credit, Credit(given, "Courtesy"))
            expected += sum(amounts) - paid - given
        await merge(desk, *clients[:2])
        assert await balances(desk, *clients[:2]) == [0, expected]
    await merge(desk, *clients[1:])
    assert await balances(desk, *clients) == [0, 0, expected]
