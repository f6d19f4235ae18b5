"""Runs of `portal check`, and their results."""

import asyncio
import json
from typing import Any

from sqlalchemy import update
from typer.testing import CliRunner, Result

from models import Row
from server.cli import main as cli
from server.cli.check import check_everything
from tests.support.portal import Portal

KEYS = {
    "STRIPE_API_KEY": "sk_test_double",
    "STRIPE_PUBLISHABLE_KEY": "pk_test_double",
    "STRIPE_WEBHOOK_SECRET": "whsec_1",
    "PUBLIC_URL": "https://portal.example",
}


class Results:
    """The results of one run."""

    def __init__(self, text: str) -> None:
        self.body = json.loads(text)
        self.checks = {one["name"]: one for one in self.body["checks"]}

    @property
    def failed(self) -> set[str]:
        return {name for name, one in self.checks.items() if one["outcome"] == "failed"}

    def outcome(self, name: str) -> str:
        return str(self.checks[name]["outcome"])

    def sentence(self, name: str) -> str:
        return str(self.checks[name]["sentence"])


async def run(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, cli.app, [*arguments])


async def results() -> Results:
    """Run the checks in this event loop, which the double of Stripe belongs to."""
    printed: list[str] = []
    passed = await check_everything(printed.append, as_json=True)
    made = Results(*printed)
    assert passed is made.body["passed"] is not bool(made.failed)
    return made


async def change(portal: Portal, model: type[Row], **values: Any) -> None:
    async with portal.engine.begin() as conn:
        await conn.execute(update(model).values(values))
