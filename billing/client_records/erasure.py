"""The erasure of a client's personal data: the ledger is kept, and says about nobody.

Names, addresses, free texts and documents' bytes are replaced in all tables, sign-ins and keys of
other systems deleted, and Stripe is asked to delete the customer after the commit. Amounts, days,
ids and the hash chain stay. Rows of the chain are verified by the digests of their erased values.

Some of the tables are append-only. So the owner of the tables erases, in one transaction.
"""

import datetime as dt
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.audit_log import Actor, write_entries
from billing.client_records.erasure_checks import Retention, check_erasable
from billing.client_records.personal_data import PERSONAL
from billing.client_records.tables import RECORD
from billing.ledger.erased_values import CLIENT_NAME
from billing.ledger.hash_chain import CHAINED, ERASABLE, row_key, value_digest
from billing.ledger.locks import lock_client
from billing.ledger.versions import stamp_rows
from billing.payment_methods.detach import record_detachment
from billing.payments.customers import Holder, owner_of_row
from models import (
    AccessAction,
    AccessEntry,
    Client,
    ClientNamePart,
    Contact,
    ContactRight,
    ErasedValue,
    ExternalReference,
    Payment,
    PaymentMethod,
    SignInLink,
    SignInRequest,
    StripeCustomer,
    Token,
)
from models.append_only import resume, suspend
from models.names import folded_email, name_parts

# The append-only tables with personal data.
UNLOCKED = ("access_entry", "ledger_entry", "printed_document")
BELONGS = {table.model: table.belongs for table in RECORD}
# The number of entries of the audit log that are in memory at once, and an id before all others.
ENTRIES_AT_ONCE, LEAST_ID = 1_000, "00000000-0000-0000-0000-000000000000"
# A part of a name that is shorter says nothing by itself.
SHORTEST = 3


@dataclass(frozen=True)
class Erasure:
    """A client to erase. `despite` names the reasons against it that are overruled."""

    practice_id: str
    client_id: str
    reason: str
    despite: Collection[str] = ()


@dataclass(frozen=True)
class People:
    """The persons to erase: the records of a client, and contacts of no other client."""

    practice_id: str
    clients: Sequence[str]
    contacts: Sequence[str]
    mailboxes: Sequence[str]
    # Names, addresses and numbers, as the audit log may have them.
    texts: Sequence[str]


async def erase_client(
    conn: AsyncConnection, wanted: Erasure, term: Retention, actor: Actor, now: dt.datetime
) -> Sequence[str]:
    """Erase a client and all records that are merged into it. Return the ids of all of them.

    Raise NotErasable for a reason against it.
    """
    # The tables are locked before the clients, as writers lock a client and then write to a table.
    await conn.run_sync(suspend, UNLOCKED)
    practice_id = wanted.practice_id
    clients = await with_merged(conn, practice_id, wanted.client_id)
    for client_id in clients:
        await lock_client(conn, practice_id, client_id)
    await check_erasable(conn, practice_id, clients, wanted.despite, term)
    people = await people_of(conn, practice_id, clients)
    for client_id in clients:
        await keep_digests(conn, practice_id, client_id, now)
    for model in PERSONAL.keys() - {AccessEntry, SignInRequest}:
        await replace_values(conn, people, model)
    await clean_audit_log(conn, people)
    await conn.run_sync(resume, UNLOCKED)
    await end_sign_ins(conn, people)
    await remove_links(conn, people)
    await remove_cards(conn, people, now)
    mine = Client.practice_id == practice_id, Client.id.in_(clients)
    await conn.execute(update(Client).where(*mine).values(erased_at=now))
    await stamp_rows(conn, practice_id, {Client: {*clients}})
    acts = [
        actor.entry(now, client_id, AccessAction.CHANGE, arguments=wanted.reason)
        for client_id in clients
    ]
    await write_entries(conn, acts)
    return clients


async def with_merged(conn: AsyncConnection, practice_id: str, client_id: str) -> Sequence[str]:
    """Return the ids of a client and of all records merged into it, in order."""
    clients, into = {client_id}, {client_id}
    while into:
        merged = Client.practice_id == practice_id, Client.merged_into.in_(into)
        into = {str(one) for one in await conn.scalars(select(Client.id).where(*merged))} - clients
        clients |= into
    return sorted(clients)


async def people_of(conn: AsyncConnection, practice_id: str, clients: Sequence[str]) -> People:
    """Return the persons to erase. A contact who also has rights to another client stays."""
    linked = select(ContactRight.contact_id).where(
        ContactRight.practice_id == practice_id, ContactRight.client_id.in_(clients)
    )
    others = select(ContactRight.contact_id).where(
        ContactRight.practice_id == practice_id, ContactRight.client_id.not_in(clients)
    )
    columns = "name email mailbox".split()
    contacts = await conn.execute(
        select(Contact.id, *(getattr(Contact, name) for name in columns)).where(
            Contact.practice_id == practice_id, Contact.id.in_(linked), Contact.id.not_in(others)
        )
    )
    found = contacts.all()
    own = await conn.execute(
        select(Client.phone, *(getattr(Client, name) for name in columns)).where(
            Client.practice_id == practice_id, Client.id.in_(clients)
        )
    )
    rows = [*own.all(), *found]
    return People(
        practice_id,
        clients,
        [str(contact.id) for contact in found],
        sorted({row.mailbox for row in rows if row.mailbox}),
        sorted({text for row in rows for text in texts_of(row)}),
    )


def texts_of(row: Any) -> Iterator[str]:
    """Yield the texts by which a person may be named: words of the name, address and phone."""
    words = (*row.name.split(), row.mailbox, getattr(row, "phone", None))
    yield from (word.casefold() for word in words if word and len(word) >= SHORTEST)


# -- rows of the books -----------------------------------------------------------------------------


async def keep_digests(
    conn: AsyncConnection, practice_id: str, client_id: str, now: dt.datetime
) -> None:
    """Keep the digest of each value that is erased from a row of the hash chain.

    The values are read one at a time: a document has its content. A cursor would keep the tables in
    use, and their triggers could not be put back.
    """
    for model, name in ERASABLE.items():
        table: Any = model.__table__
        mine = table.c.practice_id == practice_id, table.c.client_id == client_id
        keys = (await conn.execute(select(*table.primary_key).where(*mine))).mappings().all()
        for key in keys:
            same = (table.c[column] == value for column, value in key.items())
            value: Any = await conn.scalar(select(table.c[name]).where(*same))
            digest = {
                "practice_id": practice_id,
                "table_name": CHAINED[model],
                "row_key": row_key(model, dict(key)),
                "client_id": client_id,
                "digest": value_digest(value),
                "erased_at": now,
            }
            await conn.execute(insert(ErasedValue).values(digest))


async def replace_values(conn: AsyncConnection, people: People, model: Any) -> None:
    """Replace the personal data in the rows of a table."""
    conditions = [BELONGS[model](people.practice_id, client_id) for client_id in people.clients]
    if model is Contact:
        conditions = [Contact.id.in_(people.contacts)]
    if model in (PaymentMethod, Payment):
        # Also cards and payments for other clients, for whom the contacts have no rights any more.
        conditions = [model.client_id.in_(people.clients), model.contact_id.in_(people.contacts)]
    changed = update(model).where(model.practice_id == people.practice_id, or_(*conditions))
    await conn.execute(changed.values(PERSONAL[model]))


async def clean_audit_log(conn: AsyncConnection, people: People) -> None:
    """Take the persons' names from the audit log, and arguments that could name them."""
    mine = AccessEntry.practice_id == people.practice_id
    left = PERSONAL[AccessEntry]
    acted = AccessEntry.actor_id.in_([*people.clients, *people.contacts])
    await conn.execute(update(AccessEntry).where(mine, acted).values(name=left["name"]))
    told = AccessEntry.arguments.is_not(None)
    of_client = AccessEntry.client_id.in_(people.clients), told
    changed = update(AccessEntry).values(arguments=left["arguments"])
    await conn.execute(changed.where(mine, *of_client))
    async for named in searches(conn, people):
        await conn.execute(changed.where(mine, AccessEntry.id.in_(named)))


async def searches(conn: AsyncConnection, people: People) -> AsyncIterator[list[str]]:
    """Yield the entries about the whole practice whose arguments name a person, page by page."""
    page = select(AccessEntry.id, AccessEntry.arguments).where(
        AccessEntry.practice_id == people.practice_id,
        AccessEntry.client_id.is_(None),
        AccessEntry.arguments.is_not(None),
    )
    after = LEAST_ID
    while rows := (
        await conn.execute(
            page.where(AccessEntry.id > after).order_by(AccessEntry.id).limit(ENTRIES_AT_ONCE)
        )
    ).all():
        after = rows[-1].id
        told = ((row.id, row.arguments.casefold()) for row in rows)
        yield [id_ for id_, words in told if any(text in words for text in people.texts)]


# -- rows that end ---------------------------------------------------------------------------------


async def end_sign_ins(conn: AsyncConnection, people: People) -> None:
    """Delete the persons' tokens, the links that were sent to them, and waiting requests."""
    tokens = (
        Token.practice_id == people.practice_id,
        or_(Token.client_id.in_(people.clients), Token.contact_id.in_(people.contacts)),
    )
    of_token = SignInLink.token_id.in_(select(Token.id).where(*tokens))
    sent = or_(of_token, SignInLink.email.in_(people.mailboxes))
    await conn.execute(delete(SignInLink).where(SignInLink.practice_id == people.practice_id, sent))
    await conn.execute(delete(Token).where(*tokens))
    typed = folded_email(SignInRequest.email).in_(people.mailboxes)
    await conn.execute(update(SignInRequest).where(typed).values(PERSONAL[SignInRequest]))


async def remove_links(conn: AsyncConnection, people: People) -> None:
    """Delete contacts' rights and the keys of other systems, and search for the new name."""
    for client_id in people.clients:
        references = ExternalReference.practice_id == people.practice_id
        await conn.execute(
            delete(ExternalReference).where(
                references, BELONGS[ExternalReference](people.practice_id, client_id)
            )
        )
        for model in (ContactRight, ClientNamePart):
            mine = model.practice_id == people.practice_id, model.client_id == client_id
            await conn.execute(delete(model).where(*mine))
        named = {"practice_id": people.practice_id, "id": client_id, "name": CLIENT_NAME}
        await conn.execute(insert(ClientNamePart), name_parts(named))
    await conn.execute(
        delete(ExternalReference).where(
            ExternalReference.practice_id == people.practice_id,
            ExternalReference.row_id.in_(people.contacts),
        )
    )


async def remove_cards(conn: AsyncConnection, people: People, now: dt.datetime) -> None:
    """Take all cards off file, and have Stripe delete the customers after the commit.

    A contact who stays keeps the customer, and the cards for other clients.
    """
    card = (
        PaymentMethod.practice_id == people.practice_id,
        or_(
            PaymentMethod.client_id.in_(people.clients),
            PaymentMethod.contact_id.in_(people.contacts),
        ),
    )
    of_others = (
        PaymentMethod.contact_id.is_not(None),
        PaymentMethod.contact_id.not_in(people.contacts),
        PaymentMethod.removed_at.is_(None),
    )
    for row in (await conn.execute(select(PaymentMethod).where(*card, *of_others))).all():
        await record_detachment(conn, owner_of_row(row).holder, row.stripe_id, now)
    removed = {
        "removed_at": func.coalesce(PaymentMethod.removed_at, now),
        "is_default": False,
        "is_shared": False,
        "revision": PaymentMethod.revision + 1,
    }
    await conn.execute(update(PaymentMethod).where(*card).values(removed))
    customers = await conn.execute(
        select(StripeCustomer).where(
            StripeCustomer.practice_id == people.practice_id,
            or_(
                StripeCustomer.client_id.in_(people.clients),
                StripeCustomer.contact_id.in_(people.contacts),
            ),
            StripeCustomer.deleted_at.is_(None),
        )
    )
    for one in customers.all():
        holder = Holder(people.practice_id, one.client_id, one.contact_id, one.stripe_account)
        await record_detachment(conn, holder, one.stripe_id, now, is_customer=True)
