"""A client with a planted value in every column of personal data, and a look for what is left."""

import datetime as dt
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.client_records.erasure import BELONGS
from billing.client_records.personal_data import PERSONAL
from models import (
    AccessEntry,
    Contact,
    ContactRight,
    ExternalReference,
    LedgerEntry,
    Letterhead,
    PrintedDocument,
    Row,
    Session,
    SignInLink,
    SignInRequest,
    Statement,
    StatementLine,
    StripeCustomer,
    Superbill,
    SuperbillDiagnosis,
    Token,
)
from models.ids import new_id
from tests.support.factories import DEFAULTS, NOON, Books
from tests.support.unprotected import unprotected

# Letters beyond "f" can't be in a hash by chance.
MARKS = ("quagg", "1987-02-28")
NAME, EMAIL = "Zebulon Quaggamire", "zeb@quagga.example"
BORN = dt.date(1987, 2, 28)
# Values of columns that take no other text.
FIXED: dict[str, Any] = {
    "name": NAME,
    "folded_name": NAME.lower(),
    "email": EMAIL,
    "date_of_birth": BORN,
    "client_date_of_birth": BORN,
    "last4": "9137",
    "card_last4": "9137",
}
# The hash chain has these, so that the writers plant them.
WRITTEN = {LedgerEntry, PrintedDocument}


async def plant(engine: AsyncEngine, url: str, practice: str, client: str, other: str) -> str:
    """Add rows in all tables, and plant values. Return a contact who has another client too."""
    async with engine.begin() as conn:
        shared = await add_rows(conn, Books(conn, practice), client, other)
    async with unprotected(url, "access_entry") as conn:
        for model, values in PERSONAL.items():
            if model not in WRITTEN and model is not SignInRequest:
                await plant_in(conn, model, [*values], practice, client)
    return shared


async def add_rows(conn: AsyncConnection, books: Books, client: str, other: str) -> str:
    books.ids["client"] = client
    mine: dict[str, Any] = {"client_id": client}
    head = {"letterhead_id": await books.add(Letterhead)}
    nothing = dict.fromkeys(("invoiced_minor", "paid_minor", "ending_minor"), 0)
    statement = await books.add(Statement, **mine, **head, **nothing)
    await books.add(StatementLine, statement_id=statement)
    superbill = await books.add(Superbill, **mine, **head)
    await books.add(SuperbillDiagnosis, superbill_id=superbill)
    await books.add(Session, **mine)
    await books.card(client, is_default=True)
    await books.add(StripeCustomer, **mine)
    token = await books.add(Token, **mine, kind="CLIENT", name=NAME, email=EMAIL)
    used = {"token_id": token, "used_at": NOON, "used_nonce_hash": ""}
    await books.add(SignInLink, email="former@quagga.example", **used)
    await books.add(SignInLink, email=EMAIL)
    await books.add(ExternalReference, row_id=client, kind="client", external_id="quagga-1")
    contacts = [await books.add(Contact) for _ in range(2)]
    for contact, linked in ((0, client), (1, client), (1, other)):
        await books.add(ContactRight, client_id=linked, contact_id=contacts[contact])
    entry = DEFAULTS[AccessEntry] | {"practice_id": books.practice, "kind": "CLIENT"}
    acts: list[dict[str, Any]] = [
        {"client_id": client, "actor_id": client, "arguments": "{}"},
        {"client_id": other, "actor_id": contacts[0]},
        {"client_id": None, "name": "Report", "arguments": '{"search": "QUAGGAMIRE"}'},
        {"client_id": None, "name": "Report", "arguments": '{"search": "osei"}'},
    ]
    for act in acts:
        await conn.execute(insert(AccessEntry).values(entry | {"id": new_id()} | act))
    request = {"id": new_id(), "email": f" {EMAIL.upper()} ", "email_hash": "", "code_tries": 0}
    times = dict.fromkeys(("created_at", "expires_at", "turn_at", "due_at"), NOON)
    more = {"nonce_hash": new_id(), "is_mailed": False, "tries": 0}
    await conn.execute(insert(SignInRequest).values(request | times | more))
    return contacts[1]


async def plant_in(
    conn: AsyncConnection, model: Any, names: list[str], practice: str, client: str
) -> None:
    values = {name: FIXED.get(name, f"Quagga {name}") for name in names}
    mine = [model.practice_id == practice, BELONGS[model](practice, client)]
    if model is Contact:
        mine.append(~Contact.id.in_(shared_contacts()))
    if model is AccessEntry:
        mine = [model.practice_id == practice, model.actor_id.is_not(None)]
        values = {"name": NAME}
        await conn.execute(
            update(model).where(model.client_id == client, *mine).values(arguments="Quagga")
        )
    await conn.execute(update(model).where(*mine).values(values))


def shared_contacts() -> Any:
    """Select the contacts with more than one client."""
    rights = select(ContactRight.contact_id).group_by(ContactRight.contact_id)
    return rights.having(func.count() > 1)


async def marked_columns(engine: AsyncEngine) -> set[str]:
    """Return the columns of the whole database with a planted value."""
    columns = set[str]()
    async with engine.connect() as conn:
        for table in Row.metadata.sorted_tables:
            for row in await conn.execute(select(table)):
                for name, value in row._mapping.items():
                    text = value if isinstance(value, bytes) else str(value).encode()
                    if any(mark.encode() in text.lower() for mark in MARKS):
                        columns.add(f"{table.name}.{name}")
    return columns
