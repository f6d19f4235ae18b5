"""Client of Stripe's double over plain HTTP, for tests of the double itself."""

from typing import Any

import httpx

from billing.stripe import Stripe
from sandbox import controls, pages
from sandbox.api import Api
from sandbox.app import app
from sandbox.store import PAGE, Store
from sandbox.version import VERSION
from tests.sandbox.specification import held
from tests.support.payments import ACCOUNT, GOOD

HEADERS = {
    "Authorization": "Bearer sk_test_double",
    "Stripe-Account": ACCOUNT,
    "Stripe-Version": VERSION,
}
CARD = {"expMonth": 12, "expYear": 2031, "name": "Ana Prieto", "zip": "04101"}
USD = {"amount": "10000", "currency": "usd", "payment_method_types[0]": "card"}


class Double:
    """The double, with methods to send it requests."""

    def __init__(self) -> None:
        self.time = 1_790_000_000.0
        self.store = Store(":memory:", lambda: self.time)
        self.api = Api(self.store)
        transport = httpx.ASGITransport(app(self.store, self.api, controls=True))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://stripe")

    def gateway(self) -> Stripe:
        """Return the project's gateway to this double."""
        transport = httpx.ASGITransport(app(self.store, self.api))
        return Stripe("sk_test_double", base="http://stripe", transport=transport)

    async def ask(
        self, method: str, path: str, params: dict[str, str] | None = None, **headers: str
    ) -> tuple[int, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        form = {"data": params} if method == "POST" else {"params": params}
        answer = await self.http.request(
            method,
            f"/v1/{path}",
            headers=HEADERS | named,
            **form,  # type: ignore[arg-type]
        )
        return answer.status_code, answer.json()

    async def made(self, path: str, **params: str) -> str:
        """Send a POST, and return the new object's id."""
        status, answer = await self.ask("POST", path, params)
        assert status == 200, answer
        return str(answer["id"])

    async def keyed(self, key: str, path: str, **params: str) -> tuple[int, Any]:
        """Send a POST with an idempotency key."""
        return await self.ask("POST", path, params, Idempotency_Key=key)

    async def intent(self, **params: str) -> str:
        return await self.made("payment_intents", **USD | params)

    def token(self, number: str = GOOD, **charge: Any) -> str:
        with self.store.transaction():
            return pages.token(self.store, PAGE, {"number": number, **CARD, **charge})

    async def confirm(self, intent: str, number: str = GOOD) -> tuple[int, Any]:
        params = {"confirmation_token": self.token(number), "use_stripe_sdk": "true"}
        return await self.ask("POST", f"payment_intents/{intent}/confirm", params)

    async def paid(self, number: str = GOOD, **params: str) -> str:
        intent = await self.intent(**params)
        await self.confirm(intent, number)
        return intent

    def act(self, action: str, /, **facts: Any) -> Any:
        return controls.act(self.store, action, facts)

    def hold(self) -> None:
        held.hold(self.store.journal(), self.store.all("event"))


def told(answer: tuple[int, Any]) -> tuple[int, str | None, str | None]:
    """Return an error's status, code and parameter."""
    status, body = answer
    return status, body["error"].get("code"), body["error"].get("param")
