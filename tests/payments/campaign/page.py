"""The portal's page of one client, which repeats a request without a response."""

import asyncio
from collections import Counter
from typing import Any

import httpx

from tests.payments.campaign.servers import Servers
from tests.payments.campaign.world import Somebody

# The number of tries of a request, the pause between them, and the time to wait for a response.
TRIES, PAUSE_S, TIMEOUT_S = 25, (0.3, 1.2), 12
PAYABLE = "{ client { balance { payable { minorUnits } } } }"
OF_INVOICE = "query ($id: ID!) { node(id: $id) { ... on Invoice { payable { minorUnits } } } }"
CARDS = "{ client { paymentMethods { id isDefault last4 } } }"


class Lost(Exception):
    """A request without a response, after all tries."""


class Page:
    """Requests of one client to any of the servers."""

    def __init__(
        self,
        somebody: Somebody,
        servers: Servers,
        http: httpx.AsyncClient,
        counts: Counter[str],
    ) -> None:
        self.somebody, self.servers, self.http, self.counts = somebody, servers, http, counts
        self.random = somebody.random

    async def data(self, query: str, **variables: Any) -> dict[str, Any]:
        """Return the response's data. Repeat the request after a crash."""
        for _ in range(TRIES):
            answer = await self.once(query, variables)
            if answer is not None:
                return answer
            await asyncio.sleep(self.random.uniform(*PAUSE_S))
        raise Lost

    async def once(self, query: str, variables: dict[str, Any]) -> dict[str, Any] | None:
        headers = {
            "Authorization": f"Bearer {self.somebody.bearer}",
            "X-Forwarded-For": self.somebody.address,
        }
        if not self.servers.slots:
            raise Lost  # The campaign is over, and a tab was left open.
        url = f"{self.servers.any(self.random)}/graphql"
        body = {"query": query, "variables": variables}
        try:
            answer = await self.http.post(url, json=body, headers=headers, timeout=TIMEOUT_S)
            found = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            self.counts[f"page: {type(error).__name__}"] += 1
            return None
        codes = {error["extensions"]["code"] for error in found.get("errors", [])}
        assert codes <= {"INTERNAL", "UNAVAILABLE", "TIMEOUT"}, found
        self.counts.update(f"page: {code}" for code in codes)
        data: dict[str, Any] | None = found.get("data") if not codes else None
        return data

    async def payable(self, invoice_id: str | None) -> int:
        if invoice_id is None:
            data = await self.data(PAYABLE)
            return int(data["client"]["balance"]["payable"]["minorUnits"])
        data = await self.data(OF_INVOICE, id=f"inv_{invoice_id}")
        return int(data["node"]["payable"]["minorUnits"])

    async def cards(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.data(CARDS))["client"]["paymentMethods"]
        return found
