"""The state after a campaign: plain rows of the portal, and objects of the double.

Nothing here and in `oracle.py` is code of the portal's: rows are read by SQL.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.payments.campaign.answers import Journal
from tests.payments.campaign.at_stripe import AtStripe
from tests.payments.campaign.world import Somebody

Values = dict[str, Any]
TABLES = (
    *("payment", "claim", "receipt", "ledger_entry", "refund", "dispute", "invoice", "practice"),
    *("allocation", "payment_method", "card_setup", "detachment", "stripe_event"),
)
KINDS = (
    *("payment_intent", "charge", "refund", "dispute", "payment_method", "setup_intent"),
    "customer",
)


@dataclass
class Facts:
    """Rows by table, objects by kind, and answers."""

    rows: dict[str, list[Values]]
    objects: dict[str, list[Values]]
    people: list[Somebody]
    journal: Journal

    def __post_init__(self) -> None:
        self.clients = {one.client_id: one.index for one in self.people}
        self.practices = {row["id"] for row in self.rows["practice"]}
        self.payments = {row["id"]: row for row in self.rows["payment"]}
        self.intents = {one["id"]: one for one in self.objects["payment_intent"]}
        self.charges = [one for one in self.objects["charge"] if one.get("status") == "succeeded"]
        self.charges_by_payment = grouped(self.charges, self.payment_of)
        self.refunds_by_payment = grouped(self.objects["refund"], self.payment_of)
        self.disputes_by_payment = grouped(self.objects["dispute"], self.payment_of)
        self.ledger_by_payment = grouped(self.rows["ledger_entry"], lambda one: one["payment_id"])

    def payment_of(self, one: Values) -> str | None:
        """Return the payment of a charge, refund or dispute, by its PaymentIntent's metadata.

        Another program's object may name a payment too, but none of these practices.
        """
        intent = self.intents.get(one.get("payment_intent") or "")
        metadata = intent.get("metadata", {}) if intent else {}
        return metadata.get("payment") if metadata.get("practice") in self.practices else None

    def index_of(self, payment_id: str | None) -> int | None:
        """Return the index of the payment's client."""
        row = self.payments.get(payment_id or "")
        return self.clients.get(row["client_id"]) if row else None


async def gathered(
    engine: AsyncEngine, stripe: AtStripe, people: list[Somebody], journal: Journal
) -> Facts:
    rows: dict[str, list[Values]] = {}
    async with engine.connect() as conn:
        for table in TABLES:
            result = await conn.execute(text(f"SELECT * FROM {table}"))  # noqa: S608 (fixed names)
            rows[table] = [plain(row) for row in result.mappings()]
    objects = {kind: numbered(stripe, kind) for kind in KINDS}
    return Facts(rows, objects, people, journal)


def plain(row: Mapping[Any, Any]) -> Values:
    """Return a row's values, with PostgreSQL's ids as text, as SQLite has them."""
    return {str(k): str(v) if isinstance(v, uuid.UUID) else v for k, v in row.items()}


def numbered(stripe: AtStripe, kind: str) -> list[Values]:
    found = stripe.numbered(kind)
    return [body | {"number": number, "account": account} for number, account, body in found]


def grouped(
    values: Iterable[Values], by: Callable[[Values], str | None]
) -> defaultdict[str, list[Values]]:
    groups: defaultdict[str, list[Values]] = defaultdict(list)
    for one in values:
        if key := by(one):
            groups[key].append(one)
    return groups
