"""Stripe's side of a campaign: forms of pages, the dashboard, banks, and events.

Only this module knows the double. Forms go by its addresses, everything else by its file.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from sandbox.store import Store
from tests.payments.campaign.world import ACCOUNTS

Object = dict[str, Any]


class AtStripe:
    """The double, reached as pages and Stripe's dashboard reach Stripe."""

    def __init__(self, address: str, file: Path, http: httpx.AsyncClient) -> None:
        self.address, self.http = address, http
        self.store = Store(str(file))

    # -- pages -------------------------------------------------------------------------------------

    async def token(self, number: str) -> str:
        """Make a confirmation token of a card."""
        return str((await self.form("confirmation_tokens", number=number))["id"])

    async def fill_in(self, client_secret: str, number: str) -> str:
        """Fill in the form that keeps a card. Return the SetupIntent's status, or "declined"."""
        made = await self.form("setup_intents/confirm", number=number, clientSecret=client_secret)
        return str(made.get("status", "declined"))

    async def answer_the_bank(self, client_secret: str, *, succeed: bool) -> None:
        """Pass or fail 3-D Secure. Nothing happens if the bank waits for nobody."""
        asked = {"clientSecret": client_secret, "succeed": succeed}
        await self.http.post(f"{self.address}/sandbox/next_action", json=asked)

    async def form(self, path: str, **given: Any) -> Object:
        card = {"expMonth": 12, "expYear": 2031, "cvc": "123", "name": "Ana Prieto", "zip": "04101"}
        answer = await self.http.post(f"{self.address}/sandbox/{path}", json=card | given)
        found: Object = answer.json()
        return found

    # -- the dashboard and the banks ---------------------------------------------------------------

    async def act(self, what: str, /, **facts: Any) -> None:
        """Do something that the dashboard or a bank can do, unless Stripe refuses it."""
        answer = await self.http.post(f"{self.address}/controls/actions/{what}", json=facts)
        assert answer.status_code < 500, (what, facts, answer.text)

    async def set_faults(self, *faults: Object) -> None:
        """Set faults of Stripe's own for the next calls, as a 500 that is saved under its key."""
        await self.http.post(f"{self.address}/controls/faults", json={"faults": faults})

    async def move_clock(self, later_s: float) -> None:
        """Move Stripe's clock, which dates objects and ends idempotency keys."""
        answer = await self.http.post(f"{self.address}/controls/clock", json={"later_s": later_s})
        assert answer.is_success, answer.text

    # -- objects -----------------------------------------------------------------------------------

    def of_intent(self, kind: str, intent_id: str) -> list[Object]:
        return self.where(kind, "payment_intent", intent_id)

    def intents_of(self, payment_id: str) -> list[Object]:
        return self.where("payment_intent", "metadata.payment", payment_id)

    def customers_of(self, client_id: str) -> list[str]:
        return [one["id"] for one in self.where("customer", "metadata.client", client_id)]

    def refunds_pending(self) -> list[tuple[str, str]]:
        """Return the account and id of each pending refund."""
        rows = self.store.connection.execute(
            "SELECT account, id FROM object WHERE kind = 'refund'"
            " AND json_extract(body, '$.status') = 'pending'"
            " AND json_extract(body, '$.metadata.order_id') IS NULL"
        )
        return list(rows.fetchall())

    def cards_of(self, customer: str) -> list[Object]:
        return self.where("payment_method", "customer", customer)

    def where(self, kind: str, path: str, value: str) -> list[Object]:
        rows = self.store.connection.execute(
            "SELECT body FROM object WHERE kind = ? AND json_extract(body, ?) = ? ORDER BY number",
            (kind, f"$.{path}", value),
        )
        return [json.loads(body) for (body,) in rows]

    def numbered(self, kind: str) -> list[tuple[int, str, Object]]:
        """Return all objects of a kind, the oldest first, each with its number and account."""
        rows = self.store.connection.execute(
            "SELECT number, account, body FROM object WHERE kind = ? ORDER BY number", (kind,)
        )
        return [(number, account, json.loads(body)) for number, account, body in rows]

    def mark(self) -> int:
        """Return the number of the newest object. Later objects have higher ones."""
        newest = self.store.connection.execute("SELECT coalesce(max(number), 0) FROM object")
        return int(newest.fetchone()[0])

    def events_after(self, number: int) -> Iterator[tuple[int, Object]]:
        """Yield the events that are newer than an object, the oldest first."""
        newer = (
            "SELECT number, body FROM object WHERE account = ? AND kind = 'event' AND number > ?"
        )
        found: list[tuple[int, str]] = []
        for account in ACCOUNTS:
            found += self.store.connection.execute(newer, (account, number)).fetchall()
        for event_number, body in sorted(found):
            yield event_number, json.loads(body)

    def close(self) -> None:
        self.store.close()
