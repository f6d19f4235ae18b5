"""The rows of an exactness test: random practices, a row in each table, and their viewers."""

import itertools
import random
import re
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.documents.links import UUID
from identity.token_keys import hashed
from identity.tokens import derived
from models import (
    Client,
    ContactRight,
    Invoice,
    PaymentMethod,
    Practice,
    Row,
    Statement,
    StripeCustomer,
    Superbill,
    Token,
    ViewerKind,
)
from models.append_only import is_append_only, protect, unprotect
from models.database import open_engine
from models.states import TRANSITIONS
from tests.support import factories, postgres
from tests.support.comparison import SCHEMA, Case, compared
from tests.support.example_operations import REPORTS, WRITTEN
from tests.support.factories import DEFAULTS, ONE_A_PRACTICE, Books, table
from tests.support.operations import drawn
from tests.support.operations.pools import Pool, pools
from tests.support.portal import KEY
from tests.support.practices import PERSONAL, made
from tests.support.practices.random_values import MOMENT, NOW
from tests.support.triggers import drop_triggers

# The viewers of the client that has a row in each table.
FILLED_CLIENT, FILLED_CONTACT = "USD filled client", "USD filled contact"
DASHBOARD = "USD dashboard"
ID = re.compile(UUID)
ONLY_ADDED = [one.name for one in Row.metadata.sorted_tables if is_append_only(one)]
LOG = "nodes { at kind action fields name operation }"

# Operations that the written ones leave out.
MORE: dict[str, str] = {
    "who read the data": f"{{ client {{ accessLog(first: 50) {{ totalCount {LOG} }} }} }}",
    "the viewer's other identities": "{ viewer { kind identities { __typename id } } }",
    "the version of the practice": "{ practice { version invoices(first: 5) { totalCount } } }",
    "clients by the name of the filled one": '{ clients(search: "jamie app") { totalCount } }',
    "how many clients there are": "{ clients { totalCount } }",
}
# Operations that together read each table, by the viewer who sends them.
OF_CLIENT = (
    "the practice with all it has",
    "a client with all that is known of them",
    "cards, the default first",
    "invoices with all that they have",
    "the whole account history",
    "payments with all that they have",
    "sign-ins",
    "the viewer",
)
WIDE: dict[str, tuple[str, ...]] = {
    DASHBOARD: (
        *OF_CLIENT,
        "a balance that explains itself",
        "statements with all that they have",
        "superbills with all that they have",
        "receipts with all that they have",
        "what an insurer would miss",
        "whether payments are taken online",
        "all documents with where they open",
        "the practice's money by month",
        "what is due, by its age",
        *MORE,
    ),
    FILLED_CLIENT: OF_CLIENT,
    FILLED_CONTACT: (
        "the practice with all it has",
        "a viewer's clients with their balances",
        "a balance that explains itself",
        "the viewer",
        "all documents with where they open",
        "sign-ins",
    ),
}
TEXTS: dict[str, Any] = {
    **WRITTEN,
    **REPORTS,
    **{sentence: (query, {}) for sentence, query in MORE.items()},
}


@dataclass(frozen=True)
class World:
    """A filled database, its viewers' tokens by their names, and reads of all kinds.

    A client has a row in each table. `filled` are the ids of these rows and of a dashboard's token,
    and `wide` are reads that show them. `practices` are the ids of practices by currency.
    """

    url: str
    practices: Mapping[str, str]
    secrets: dict[str, str]
    filled: frozenset[str]
    wide: Sequence[Case]
    cases: Sequence[Case]

    @property
    def owner_url(self) -> str:
        return postgres.as_owner(self.url)


@asynccontextmanager
async def world(url: str, seed: int, generated: int = 60) -> AsyncIterator[World]:
    """Fill the empty database of this URL, and yield it without the guards of its rows.

    A guard refuses changes of rows that are only added, or of a payment's state. Raw SQL of an
    owner can make them all the same.
    """
    practices = made(seed)
    secrets = {who: derived(KEY, f"{seed} {who}") for who in practices.tokens}
    by_id = {id_: who for who, id_ in practices.tokens.items()}
    for row in practices.rows[Token]:
        if who := by_id.get(row["id"]):
            row["hash"] = hashed(secrets[who], KEY)
    async with compared(url, practices) as comparison:
        found = pools(comparison)
        cases = [*written_cases(found, random.Random(seed))]
        cases += drawn(generated, SCHEMA, found, seed)
    by_currency = {row["currency"]: row["id"] for row in practices.rows[Practice]}
    async with open_engine(postgres.as_owner(url)) as owner, owner.begin() as conn:
        await remove_guards(conn)
        ids = await fill(conn, by_currency["USD"], secrets)
    filled = frozenset([*filter(ID.fullmatch, ids.values()), practices.tokens[DASHBOARD]])
    client_id = f"cli_{ids['client']}"
    wide = [case(who, one, client_id) for who, sentences in WIDE.items() for one in sentences]
    yield World(url, by_currency, secrets, filled, wide, [*cases, *wide])


class RandomIds:
    """Random ids from a seed, in place of the module `uuid`."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def uuid4(self) -> uuid.UUID:
        return uuid.UUID(int=self.chance.getrandbits(128), version=4)


async def remove_guards(conn: AsyncConnection) -> None:
    await remove_append_only(conn)
    await drop_triggers(conn, *(one.table for one in TRANSITIONS.values()))


async def remove_append_only(conn: AsyncConnection) -> None:
    """Remove the guards of rows that are only added."""
    for name in ONLY_ADDED:
        await conn.run_sync(unprotect, name)


async def restore_append_only(conn: AsyncConnection) -> None:
    for name in ONLY_ADDED:
        await conn.run_sync(protect, name)


async def fill(conn: AsyncConnection, practice_id: str, secrets: dict[str, str]) -> dict[str, str]:
    """Insert a row of a new client in each table, with tokens of the client and of a contact.

    Return the ids of the rows by their table.
    """
    books = Books(conn, practice_id)
    for row in ONE_A_PRACTICE:
        there = select(func.count()).where(table(row).c.practice_id == practice_id)
        if await conn.scalar(there):
            books.ids[row.__tablename__] = "one for the practice"
    with pytest.MonkeyPatch.context() as patch:
        # The practice's own rows are numbered from one.
        patch.setattr(factories, "NUMBERS", itertools.count(10_000))
        # Ids that are the same each time, so that a failure can be played again.
        patch.setattr(factories, "uuid", RandomIds(random.Random(practice_id)))
        await books.fill()
    valid = {
        "scopes": [*PERSONAL],
        "expires_at": MOMENT.replace(year=2027),
        "is_sign_in": False,
    }
    for who in (FILLED_CLIENT, FILLED_CONTACT):
        secrets[who] = derived(KEY, who)
    own = {"hash": hashed(secrets[FILLED_CLIENT], KEY), **valid}
    await conn.execute(update(Token).where(Token.id == books.ids["token"]).values(own))
    contact = {"kind": ViewerKind.CONTACT, "contact_id": books.ids["contact"], "client_id": None}
    id_ = str(RandomIds(random.Random(FILLED_CONTACT)).uuid4())
    secret = {"hash": hashed(secrets[FILLED_CONTACT], KEY)}
    await books.add(Token, id=id_, **contact, **valid | secret)
    # The contact sees several clients, so that a right changes no default of the token.
    others = select(Client.id).where(
        Client.practice_id == practice_id, Client.id != books.ids["client"]
    )
    right = {"contact_id": books.ids["contact"]}
    for client_id in await conn.scalars(others.order_by(Client.id).limit(2)):
        own_right = {"practice_id": practice_id, "client_id": client_id, **right}
        await conn.execute(insert(ContactRight).values(own_right | DEFAULTS[ContactRight]))
    account = await conn.scalar(select(Practice.stripe_account).where(Practice.id == practice_id))
    for card in (PaymentMethod, StripeCustomer):
        own_card = update(card).where(card.client_id == books.ids["client"])
        await conn.execute(own_card.values(stripe_account=account))
    for document in (Invoice, Statement, Superbill):
        shared = update(document).where(document.client_id == books.ids["client"])
        await conn.execute(shared.values(shared_at=NOW))
    return books.ids


def written_cases(viewers: Sequence[Pool], chance: random.Random) -> list[Case]:
    """Return each written operation of some viewers of each kind."""
    by_name = {one.who: one for one in viewers}
    cases = []
    for sentence in TEXTS:
        for who in chance.sample(sorted(by_name), 3):
            pool = by_name[who]
            id_ = chance.choice(pool.client_ids) if pool.client_ids else None
            cases.append(case(who, sentence, None if pool.sees_one else id_))
    return cases


def case(who: str, sentence: str, client_id: str | None) -> Case:
    query, variables = TEXTS[sentence]
    if client_id is not None:
        query = query.replace("client {", f'client(id: "{client_id}") {{', 1)
    return Case(who, query, variables, "Page" if "query Page " in query else None)
