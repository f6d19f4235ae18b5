"""`portal demo --stripe` without a browser: its keys, and its rows about Stripe."""

import asyncio
import datetime as dt
from pathlib import Path

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner, Result

from models import (
    Claim,
    Payment,
    PaymentMethod,
    PaymentState,
    Practice,
    StripeCustomer,
    database,
)
from server.cli import demo, demo_stripe
from server.cli import main as cli
from server.cli.demo_stripe import DemoAccount
from tests.support.processes import double

ENVIRONMENT = {
    "STRIPE_API_KEY": "sk_test_1",
    "STRIPE_PUBLISHABLE_KEY": "pk_test_1",
    "STRIPE_WEBHOOK_SECRET": None,
    "STRIPE_API_BASE": None,
    "SANDBOX": None,
}


def portal(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


def given(monkeypatch: pytest.MonkeyPatch, **more: str | None) -> None:
    for name, value in (ENVIRONMENT | more).items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"STRIPE_API_KEY": None}, "STRIPE_API_KEY: the demo takes a test key"),
        ({"STRIPE_API_KEY": "sk_live_1"}, "STRIPE_API_KEY: the demo takes a test key"),
        ({"STRIPE_PUBLISHABLE_KEY": None}, "STRIPE_PUBLISHABLE_KEY: it begins with pk_test_"),
        ({"STRIPE_PUBLISHABLE_KEY": "pk_live_1"}, "STRIPE_PUBLISHABLE_KEY: it begins with pk_test"),
    ],
)
def test_stripe_demo_needs_the_keys_of_a_test_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, str | None], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    given(monkeypatch, **more)
    result = portal("demo", "--stripe")
    assert result.exit_code == 1
    assert result.stderr.startswith(said)
    assert "_live_1" not in result.stderr


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1"])
def test_demo_refuses_a_live_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.chdir(tmp_path)
    given(monkeypatch, STRIPE_API_KEY=key)
    monkeypatch.setattr(demo, "listen", lambda *_: pytest.fail("the demo started"))
    result = portal("demo")
    assert result.exit_code == 1
    assert result.stderr.startswith("STRIPE_API_KEY is a live key")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("secret", [None, "whsec_1"])
def test_stripe_demo_says_whether_webhooks_arrive(
    monkeypatch: pytest.MonkeyPatch, secret: str | None
) -> None:
    given(monkeypatch, STRIPE_WEBHOOK_SECRET=secret)
    account = demo_stripe.test_account()
    assert ("not received" in account.said) is (secret is None)
    # Without Stripe's secret nobody can sign an event.
    first, second = (account.settings()["stripe_webhook_secret"] for _ in range(2))
    assert (first == second) is (secret is not None)


def test_stripe_demo_has_no_rows_that_stripe_contradicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A payment under way would be requested at Stripe, and a card on file could not be charged."""
    url = f"sqlite:///{tmp_path / 'portal.sqlite'}"
    account = DemoAccount("sk_test_double", "pk_test_double", None, None)
    kept = demo.new_keys()

    async def made() -> tuple[set[str | None], list[int], list[dt.datetime | None]]:
        await demo.prepare_database(url, kept, "http://127.0.0.1/portal/", account)
        engine = database.engine(url)
        wrong = [
            select(func.count()).where(Payment.state == PaymentState.PROCESSING),
            select(func.count()).where(Payment.stripe_id.is_not(None)),
            select(func.count()).where(Payment.stripe_account.is_not(None)),
            select(func.count()).where(PaymentMethod.removed_at.is_(None)),
            select(func.count()).select_from(Claim),
            select(func.count()).select_from(StripeCustomer),
        ]
        async with engine.connect() as conn:
            accounts = set(await conn.scalars(select(Practice.stripe_account)))
            counts = [int(await conn.scalar(statement) or 0) for statement in wrong]
            removals = select(PaymentMethod.removed_at).order_by(PaymentMethod.id)
            removed = list(await conn.scalars(removals))
        await engine.dispose()
        return accounts, counts, removed

    first = asyncio.run(made())
    assert first[:2] == ({"own", None}, [0] * 6)
    # A second preparation, as at each start, changes nothing.
    assert asyncio.run(made()) == first
    with double(tmp_path) as stripe:
        given(monkeypatch, STRIPE_API_BASE=stripe, STRIPE_WEBHOOK_SECRET="whsec_1")
        monkeypatch.setenv("STRIPE_API_KEY", "sk_test_double")
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("TOKEN_KEY", kept["token_key"])
        assert portal("reconcile").output == "The ledger agrees with Stripe.\n"
