"""Practices, clinicians, clients and contacts, as the writers enter and change them."""

import datetime as dt
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest

from billing.entry import commands
from billing.entry.commands import practice_entries
from billing.entry.errors import EntryError, EntryErrorCode
from billing.entry.external_ids import ExternalId
from billing.entry.outside_payments import OutsidePayment, record_payment
from billing.entry.people import (
    CLIENT,
    CLINICIAN,
    CONTACT,
    ClientArchive,
    ClientChange,
    ClientDetails,
    ClientRestore,
    ClinicianDetails,
    ContactDetails,
    ContactLink,
    ContactUnlink,
    TaxId,
    add_contact,
    archive_client,
    change_client,
    link_contact,
    restore_client,
    unlink_contact,
)
from billing.entry.practices import PracticeDetails, change_practice
from identity.tokens import Subject
from models import (
    READ_SCOPES,
    AccessEntry,
    Client,
    ClientNamePart,
    Clinician,
    Contact,
    ContactRight,
    ExternalReference,
    Invoice,
    Letterhead,
    PaymentMethodKind,
    Practice,
    Relation,
    Scope,
)
from tests.support.entries import PRACTICE, START, EntryDesk, entry_desk
from tests.support.portal import served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
SEEDS = itertools.count(5_000)


@pytest.fixture(scope="module")
async def shared_desk(new_database: NewDatabase) -> AsyncIterator[EntryDesk]:
    async with new_database() as url, entry_desk(url) as desk:
        yield desk


@pytest.fixture
async def desk(shared_desk: EntryDesk) -> EntryDesk:
    """Return a desk with a practice and a client of its own, in the module's database."""
    return await EntryDesk(shared_desk.engine, next(SEEDS)).open()


async def test_renamed_client_is_found_by_the_new_name_alone(desk: EntryDesk) -> None:
    details = ClientDetails("Zoë Brandnew", "zoe@example.com", clinician_id=desk.clinician_id)
    change = ClientChange(desk.client_id, details)
    await commands.enter_for_practice(desk.context, desk.practice_id, change_client, change)
    client = await desk.row(Client, desk.client_id)
    assert (client["folded_name"], client["email"]) == ("zoe brandnew", "zoe@example.com")
    parts = await desk.rows(ClientNamePart, client_id=desk.client_id)
    assert [one["text"] for one in parts] == ["zoe brandnew", "brandnew"]


async def test_client_is_archived_and_restored(desk: EntryDesk) -> None:
    async def archived_on() -> dt.date | None:
        day: dt.date | None = (await desk.row(Client, desk.client_id))["archived_on"]
        return day

    async with practice_entries(desk.context, desk.practice_id) as entries:
        assert await entries.enter(archive_client, ClientArchive(desk.client_id)) == desk.client_id
    assert await archived_on() == START.date()
    async with practice_entries(desk.context, desk.practice_id) as entries:
        await entries.enter(archive_client, ClientArchive(desk.client_id, dt.date(2026, 1, 31)))
    assert await archived_on() == dt.date(2026, 1, 31)
    with pytest.raises(EntryError) as caught:
        async with practice_entries(desk.context, desk.practice_id) as entries:
            tomorrow = START.date() + dt.timedelta(1)
            await entries.enter(archive_client, ClientArchive(desk.client_id, tomorrow))
    assert caught.value.field == "archived_on"
    async with practice_entries(desk.context, desk.practice_id) as entries:
        await entries.enter(restore_client, ClientRestore(desk.client_id))
    assert await archived_on() is None
    entries_of_client = await desk.rows(AccessEntry, client_id=desk.client_id)
    assert len(entries_of_client) == 3


async def test_documents_keep_the_name_and_letterhead_that_they_were_issued_with(
    desk: EntryDesk,
) -> None:
    before = await desk.row(Invoice, await desk.invoice(100))
    moved = replace(PRACTICE, name="Harbor Therapy", tax_id=TaxId("1234"))
    await commands.enter_for_practice(desk.context, desk.practice_id, change_practice, moved)
    after = await desk.row(Invoice, await desk.invoice(100))
    names = [(await desk.row(Letterhead, one["letterhead_id"]))["name"] for one in (before, after)]
    assert names == ["Harbor Counseling", "Harbor Therapy"]
    assert (await desk.row(Practice, desk.practice_id))["name"] == "Harbor Therapy"


@pytest.mark.parametrize(("name", "value"), [("currency", "JPY"), ("time_zone", "Asia/Tokyo")])
async def test_currency_and_time_zone_never_change(desk: EntryDesk, name: str, value: str) -> None:
    with pytest.raises(EntryError) as caught:
        changed = PracticeDetails(**vars(PRACTICE) | {name: value})
        await commands.enter_for_practice(desk.context, desk.practice_id, change_practice, changed)
    assert (caught.value.code, caught.value.field) == (EntryErrorCode.CHANGED_AFTER_ENTRY, name)


async def test_contact_is_linked_with_other_rights_and_unlinked(desk: EntryDesk) -> None:
    contact_id = await commands.enter_for_practice(
        desk.context, desk.practice_id, add_contact, ContactDetails("Gail Ahn", "gail@example.com")
    )
    day = dt.date(2027, 6, 30)
    await desk.enter(link_contact, ContactLink(contact_id, Relation.GUARDIAN, True, True, day))
    (right,) = await desk.rows(ContactRight, contact_id=contact_id)
    assert right["until"] == day
    await desk.enter(link_contact, ContactLink(contact_id, Relation.PARENT, False, True))
    (right,) = await desk.rows(ContactRight, contact_id=contact_id)
    assert (right["relation"], right["sees_documents"]) == (Relation.PARENT, False)
    assert right["until"] is None
    await desk.enter(unlink_contact, ContactUnlink(contact_id))
    assert await desk.rows(ContactRight, contact_id=contact_id) == []


async def test_persons_of_another_system_are_changed_and_not_added_twice(desk: EntryDesk) -> None:
    cases: list[tuple[Any, Any, Any]] = [
        (CLIENT, Client, ClientDetails("Ana Prieto", "ana@example.com")),
        (CONTACT, Contact, ContactDetails("Ana Prieto", "ana@example.com")),
        (CLINICIAN, Clinician, ClinicianDetails("Ana Prieto", "PhD")),
    ]
    for person, table, details in cases:
        ids = []
        for sent in (details, details, replace(details, name="Ana Osei")):
            async with practice_entries(desk.context, desk.practice_id) as entries:
                ids.append(await entries.upsert(person, sent, ExternalId("ehr", "c-1")))
        assert len(set(ids)) == 1
        assert (await desk.row(table, ids[0]))["name"] == "Ana Osei"
        (reference,) = await desk.rows(ExternalReference, kind=details.kind)
        assert reference["row_id"] == ids[0]


async def test_change_of_a_person_who_is_not_of_the_practice_is_refused(desk: EntryDesk) -> None:
    other = await EntryDesk(desk.engine, next(SEEDS)).open()
    change = ClientChange(other.client_id, ClientDetails("Zoë Brandnew"))
    with pytest.raises(EntryError) as caught:
        await commands.enter_for_practice(desk.context, desk.practice_id, change_client, change)
    assert caught.value.code == EntryErrorCode.NO_SUCH_ROW
    assert (await other.row(Client, other.client_id))["name"] == "Ana Prieto"


async def test_changes_of_persons_are_in_their_audit_logs(desk: EntryDesk) -> None:
    added = await desk.add_client("Ben Osei")
    contact_id = await commands.enter_for_practice(
        desk.context, desk.practice_id, add_contact, ContactDetails("Gail Ahn")
    )
    await desk.enter(link_contact, ContactLink(contact_id, Relation.GUARDIAN, True, True))
    async with practice_entries(desk.context, desk.practice_id) as entries:
        change = CONTACT.new_details(contact_id, ContactDetails("Gail Osei"))
        await entries.enter(CONTACT.change, change)
    logged = [one["client_id"] for one in await desk.rows(AccessEntry)]
    # The new contact concerned nobody yet, the changed one the linked client.
    assert logged == [added, None, desk.client_id, desk.client_id]


async def test_entered_practice_is_served(new_database: NewDatabase) -> None:
    async with new_database() as url, served(url) as portal:
        desk = await EntryDesk(portal.engine, 1).open()
        await desk.invoice(10_000)
        await desk.enter(record_payment, OutsidePayment(PaymentMethodKind.CASH, 4_000))
        subject = Subject(desk.practice_id, client_id=desk.client_id)
        query = """{ client { name balance { payable { amount } }
            invoices(first: 1) { nodes { number status amountDue { amount } clinician { name } } }
            accountHistory(first: 1, kind: [PAYMENT]) { nodes { description } } } }"""
        token = await portal.token(subject, scopes=READ_SCOPES - {Scope.AGGREGATES_READ})
        answer = (await portal.ask(query, token)).json()
    invoice = {
        "number": "INV-2026-0001",
        "status": "PARTIALLY_PAID",
        "amountDue": {"amount": "60.00"},
        "clinician": {"name": "Ruth Adeyemi"},
    }
    assert answer["data"]["client"] == {
        "name": "Ana Prieto",
        "balance": {"payable": {"amount": "60.00"}},
        "invoices": {"nodes": [invoice]},
        "accountHistory": {"nodes": [{"description": "Payment by cash"}]},
    }
