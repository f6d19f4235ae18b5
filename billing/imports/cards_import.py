"""Cards on file that another system had put into the practice's Stripe account.

The cards are read from Stripe before the import's transaction begins, so that no lock is held while
Stripe is slow. They are put on file at its end, by the rules for all cards.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.audit_log import Actor, record
from billing.entry.external_ids import content_of
from billing.entry.practice_facts import PracticeFacts
from billing.entry.rows import Insertion
from billing.entry.writing import write
from billing.imports.context import ImportContext
from billing.imports.faults import Complaint, Faults
from billing.imports.layouts import BY_NAME
from billing.imports.references import chunks
from billing.imports.staging import StagedRow, Staging
from billing.ledger.locks import lock_client
from billing.payment_methods.store import Consent, store_card
from billing.payments import customers
from billing.payments.customers import Owner
from billing.stripe import Missing, Stripe, StripeTrouble
from billing.stripe.objects import Card
from models import ExternalReference, Practice, StripeCustomer
from models.ids import new_id

OpenStripe = Callable[[], AbstractAsyncContextManager[Stripe]]
# The version of the consent text: another system has it.
ELSEWHERE = "imported"
# The number of cards that are read from Stripe at one time.
AT_ONCE = 8
CARDS = "SELECT * FROM cards WHERE id IS NOT NULL AND stripe_customer IS NOT NULL ORDER BY line"
NO_ACCOUNT = Complaint(
    "can't be read: the practice has no account at Stripe",
    "set the practice's Stripe account and the settings of Stripe, or leave the file out",
    "NO_STRIPE_ACCOUNT",
)
UNAVAILABLE = Complaint(
    "can't be read: Stripe doesn't answer at the moment",
    "run the import again later",
    "STRIPE_UNAVAILABLE",
)
NO_CARD = Complaint(
    "is no card in the practice's account at Stripe", "correct the id", "NO_SUCH_RECORD"
)
OTHER_CUSTOMER = Complaint(
    "is the card of another customer at Stripe", "correct one of the two ids", "OTHER_CLIENT"
)
TWO_CUSTOMERS = Complaint(
    "is another customer than the client has at Stripe",
    "move the cards to one customer at Stripe",
    "CUSTOMER_DIFFERS",
)
OTHER_CLIENT = Complaint("is the customer of another client", "correct the id", "OTHER_CLIENT")
REMOVED = Complaint("is a card that was removed in the portal", "leave the row out", "CARD_REMOVED")


@dataclass
class StripeCards:
    """The cards of an import as Stripe has them, by the lines of their records."""

    account: str = ""
    by_line: Mapping[int, Card] | None = None


async def read_cards(
    engine: AsyncEngine,
    staging: Staging,
    faults: Faults,
    practice_id: str,
    source: str,
    open_stripe: OpenStripe | None,
) -> StripeCards:
    """Read the cards that were not entered before. Refuse those that Stripe doesn't have."""
    if "cards" not in staging.staged:
        return StripeCards()
    check_customers(staging, faults)
    async with engine.connect() as conn:
        account = await conn.scalar(
            select(Practice.stripe_account).where(Practice.id == practice_id)
        )
        new = [row async for row in new_cards(conn, staging, practice_id, source)]
    if not new:
        return StripeCards(account or "", {})
    if account is None or open_stripe is None:
        complain_of_card(staging, faults, new[0], "stripe_payment_method", NO_ACCOUNT)
        return StripeCards()
    async with open_stripe() as stripe:
        reader = CardReader(stripe, account, staging, faults)
        return StripeCards(account, await reader.read_all(new))


async def new_cards(
    conn: AsyncConnection, staging: Staging, practice_id: str, source: str
) -> AsyncIterator[StagedRow]:
    """Yield the records of cards that were not entered before."""
    rows = {row["id"]: row for row in staging.select(CARDS)}
    for some in chunks(rows):
        found = await conn.scalars(
            select(ExternalReference.external_id).where(
                ExternalReference.practice_id == practice_id,
                ExternalReference.source == source,
                ExternalReference.kind == "card",
                ExternalReference.external_id.in_(some),
            )
        )
        known = set(found)
        for one in some:
            if one not in known:
                yield rows[one]


def check_customers(staging: Staging, faults: Faults) -> None:
    """Refuse a customer of two clients, and two customers of a client."""
    for same, other, complaint in (
        ("stripe_customer", "client_id", OTHER_CLIENT),
        ("client_id", "stripe_customer", TWO_CUSTOMERS),
    ):
        staging.faults_of(
            faults,
            BY_NAME["cards"],
            f"SELECT line, 'stripe_customer' AS column_name FROM (SELECT line, {other} AS other,"
            f" first_value({other}) OVER (PARTITION BY {same} ORDER BY line) AS first FROM cards"
            f" WHERE {same} IS NOT NULL) WHERE other <> first ORDER BY line",
            complaint.code,
            complaint.wrong,
            complaint.remedy,
        )


def complain_of_card(
    staging: Staging, faults: Faults, row: StagedRow, column: str, complaint: Complaint
) -> None:
    layout = BY_NAME["cards"]
    heading = staging.heading(layout, column)
    faults.complain(staging.path(layout), row["line"], heading, complaint)


@dataclass
class CardReader:
    """The reader of cards from one account at Stripe. After a failure of Stripe it stops."""

    stripe: Stripe
    account: str
    staging: Staging
    faults: Faults
    has_failed: bool = False

    async def read_all(self, rows: list[StagedRow]) -> dict[int, Card]:
        """Return the cards by the lines of their records, a few of them read at a time."""
        found: dict[int, Card] = {}
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            cards = await asyncio.gather(*(self.read(row) for row in some))
            if self.has_failed:
                break
            found |= {
                row["line"]: card for row, card in zip(some, cards, strict=True) if card is not None
            }
        return found

    async def read(self, row: StagedRow) -> Card | None:
        """Return a card, or None after a complaint."""
        column, complaint = "stripe_payment_method", NO_CARD
        try:
            card = await self.stripe.method(self.account, row["stripe_payment_method"])
            if card.customer == row["stripe_customer"]:
                return card
            column, complaint = "stripe_customer", OTHER_CUSTOMER
        except Missing:
            pass
        except StripeTrouble:
            if self.has_failed:
                return None
            self.has_failed, complaint = True, UNAVAILABLE
        complain_of_card(self.staging, self.faults, row, column, complaint)
        return None


# -- the end of the import's transaction -----------------------------------------------------------


@dataclass(frozen=True)
class CardEntry:
    """The entry of the cards that were read, in the import's transaction."""

    conn: AsyncConnection
    context: ImportContext
    cards: StripeCards
    actor: Actor | None

    async def enter_all(self, put_off: set[str]) -> None:
        """Put the cards on file, but for clients that are put off."""
        rows = list(self.context.staging.select(CARDS))
        clients = await self.clients(row["client_id"] for row in rows)
        changed = set[str]()
        for row in sorted(rows, key=lambda row: (clients.get(row["client_id"], ""), row["line"])):
            card = (self.cards.by_line or {}).get(row["line"])
            if card is None:
                self.compare(row, clients)
            elif row["client_id"] not in put_off:
                await self.enter(row, clients[row["client_id"]], card)
                changed.add(clients[row["client_id"]])
        for client_id in sorted(changed):
            await record(self.conn, self.actor, client_id, self.context.now)

    async def clients(self, external_ids: Iterable[str]) -> dict[str, str]:
        """Return the rows of clients by their external ids."""
        rows: dict[str, str] = {}
        for some in chunks(dict.fromkeys(external_ids)):
            found = await self.conn.execute(
                select(ExternalReference.external_id, ExternalReference.row_id).where(
                    ExternalReference.practice_id == self.context.facts.id,
                    ExternalReference.source == self.context.source,
                    ExternalReference.kind == "client",
                    ExternalReference.external_id.in_(some),
                )
            )
            rows |= {row.external_id: row.row_id for row in found}
        return rows

    def compare(self, row: StagedRow, clients: Mapping[str, str]) -> None:
        """Refuse a card that was entered before for another client or customer."""
        known = next(
            self.context.staging.select(
                "SELECT digest FROM known WHERE kind = 'card' AND external_id = ?", row["id"]
            ),
            None,
        )
        content = content_of("card", clients.get(row["client_id"]), row["stripe_customer"])
        if known is not None and known["digest"] != content.digest:
            wrong, remedy = "was entered before with other values", "leave the row as it was"
            self.context.refuse("cards", row, "", "CHANGED_AFTER_ENTRY", wrong, remedy)
        else:
            self.context.count("cards", "same")

    async def enter(self, row: StagedRow, client_id: str, card: Card) -> None:
        """Put one card on file, with its client's customer."""
        context = self.context
        # The file names clients: a card of another person is not told apart.
        owner = Owner(context.facts.id, client_id, None, self.cards.account)
        await lock_client(self.conn, owner.practice_id, client_id)
        complaint = await self.note_customer(owner, row["stripe_customer"])
        if complaint is not None:
            context.complain("cards", row, "stripe_customer", complaint)
            return
        consent = Consent(ELSEWHERE, consent_time(context.facts, row, context.now))
        kept = await store_card(self.conn, owner, card, consent, context.now, make_default=False)
        if kept is None:
            context.complain("cards", row, "stripe_payment_method", REMOVED)
            return
        content = content_of("card", client_id, row["stripe_customer"])
        await write(self.conn, [context.reference(content, row["id"], kept.id)])
        context.count("cards", "new")

    async def note_customer(self, owner: Owner, customer_id: str) -> Complaint | None:
        """Record a client's customer at Stripe. Return a complaint if there is another one."""
        known = await customers.recorded(self.conn, owner.holder)
        if known is not None:
            return None if known == customer_id else TWO_CUSTOMERS
        taken = select(StripeCustomer.id).where(
            StripeCustomer.practice_id == owner.practice_id,
            StripeCustomer.stripe_account == owner.account,
            StripeCustomer.stripe_id == customer_id,
        )
        if await self.conn.scalar(taken) is not None:
            return OTHER_CLIENT
        row = {
            "practice_id": owner.practice_id,
            "id": new_id(),
            "client_id": owner.client_id,
            "contact_id": None,
            "stripe_account": owner.account,
            "stripe_id": customer_id,
            "created_at": self.context.now,
            "deleted_at": None,
        }
        await write(self.conn, [Insertion(StripeCustomer, row)])
        return None


def consent_time(facts: PracticeFacts, row: StagedRow, now: dt.datetime) -> dt.datetime:
    """Return the time of a consent: noon of its day, or the time of the import."""
    if row["consented_on"] is None:
        return now
    day = dt.date.fromisoformat(row["consented_on"])
    return min(facts.local_moment(day, dt.time(12)), now)
