"""Payments go where the operator's settings say: the sandbox only if it is on, to its
own accounts.
"""

import asyncio
import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import update
from typer.testing import CliRunner, Result

from billing.payments.status import OWN, PaymentsMode, is_reached
from billing.stripe import Forbidden
from billing.stripe.release import STRIPE_JS
from models import Practice
from models.ids import new_id
from server.app import app_of_environment as served_app
from server.cli import main as cli
from server.sandbox import Sandbox
from server.settings import WrongSettings
from tests.support.portal import KEY, Portal, served
from tests.support.portal import practice as made_up

URL = "sqlite:///portal.sqlite"
KEYS = {
    "STRIPE_API_KEY": "sk_test_1",
    "STRIPE_PUBLISHABLE_KEY": "pk_test_1",
    "STRIPE_WEBHOOK_SECRET": "whsec_1",
    # A port without a server.
    "STRIPE_API_BASE": "http://127.0.0.1:1",
}
AT_STRIPE: dict[str, Any] = {
    "stripe_api_key": SecretStr("sk_test_1"),
    "stripe_publishable_key": "pk_test_1",
    "stripe_webhook_secret": [SecretStr("whsec_1")],
    "stripe_api_base": "http://127.0.0.1:1",
}
ONLINE = (
    "{ client { canPay { isAllowed reason } canAddCard { isAllowed reason } practice {"
    " onlinePayments { isEnabled mode publishableKey stripeAccount stripeJs } } } }"
)
PREPARE = "mutation { prepareCard(input: {}) { __typename ... on UserError { code } } }"
# The environment, the practice's account, and the beginning of the refusal.
REFUSED = [
    ({}, "acct_1", "STRIPE_API_KEY is not set."),
    ({}, "acct_sandbox", "STRIPE_API_KEY is not set."),
    ({}, None, "STRIPE_API_KEY is not set."),
    ({"SANDBOX": "false"}, None, "STRIPE_API_KEY is not set."),
    ({"SANDBOX": "true"}, "acct_1", "SANDBOX is true, and these accounts are not the sandbox's"),
    ({"SANDBOX": "true"}, "own", "SANDBOX is true, and these accounts are not the sandbox's"),
    ({**KEYS, "SANDBOX": "true"}, None, "SANDBOX is true, and STRIPE_API_KEY is set"),
    (KEYS, "acct_sandbox", "STRIPE_API_KEY is set, and these accounts are the sandbox's"),
    (KEYS, "acct_sandbox_7", "STRIPE_API_KEY is set, and these accounts are the sandbox's"),
]
TAKEN = [
    ({"SANDBOX": "true"}, "acct_sandbox"),
    ({"SANDBOX": "true"}, None),
    (KEYS, "acct_1"),
    (KEYS, "own"),
    (KEYS, None),
]


@pytest.fixture
def practice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Portal:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("TOKEN_KEY", KEY)
    for name in ("SANDBOX", *KEYS):
        monkeypatch.delenv(name, raising=False)

    async def made() -> Portal:
        async with served(URL) as portal:
            return portal

    return asyncio.run(made())


async def has(portal: Portal, account: str | None) -> None:
    async with portal.engine.begin() as conn:
        await conn.execute(update(Practice).values(stripe_account=account))
    await portal.engine.dispose()


def portal(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


@pytest.mark.parametrize("command", ["serve", "refund pmt_1", "reconcile"])
@pytest.mark.parametrize(("environment", "account", "said"), REFUSED)
def test_command_with_conflicting_stripe_settings_stops(
    practice: Portal,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    environment: dict[str, str],
    account: str | None,
    said: str,
) -> None:
    asyncio.run(has(practice, account))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: pytest.fail("the server started"))
    result = portal(*command.split())
    assert result.exit_code == 1
    assert result.stderr.startswith(said)
    if account and "these accounts" in said:
        assert f"pra_{practice.practice_id} has {account}" in result.stderr


def test_five_practices_are_named_and_the_others_counted(
    practice: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [made_up(new_id()) | {"stripe_account": f"acct_{number}"} for number in range(7)]

    async def added() -> None:
        await practice.insert(Practice, *rows)
        await practice.engine.dispose()

    asyncio.run(added())
    monkeypatch.setenv("SANDBOX", "true")
    result = portal("serve")
    assert result.exit_code == 1
    assert len(re.findall("pra_[0-9a-f]", result.stderr)) == 5
    assert ", and 2 more. Name an account" in result.stderr


def test_currency_unsupported_by_stripe_stops_the_start(
    practice: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_up(new_id()) | {"stripe_account": "acct_sandbox_1", "currency": "CUP"}

    async def added() -> None:
        await practice.insert(Practice, made)
        await practice.engine.dispose()

    asyncio.run(added())
    monkeypatch.setenv("SANDBOX", "true")
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: pytest.fail("the server started"))
    result = portal("serve")
    assert result.exit_code == 1
    assert f"does not charge cards in the currency of these practices: pra_{made['id']}" in (
        result.stderr
    )


async def test_currency_unsupported_by_stripe_turns_payments_off(new_database: Any) -> None:
    """Also if the row is changed while the server runs."""
    async with new_database() as url, served(url) as portal:
        async with portal.engine.begin() as conn:
            sandboxed = {"stripe_account": "acct_sandbox_1", "currency": "CUP"}
            await conn.execute(update(Practice).values(sandboxed))
        token = await portal.token()
        client = (await portal.ask(ONLINE, token)).json()["data"]["client"]
        assert client["practice"]["onlinePayments"]["isEnabled"] is False
        assert client["canPay"]["reason"] == "ONLINE_PAYMENTS_OFF"


@pytest.mark.share(8)
@pytest.mark.parametrize(("environment", "account"), TAKEN)
def test_server_with_consistent_stripe_settings_starts(
    practice: Portal,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    account: str | None,
) -> None:
    asyncio.run(has(practice, account))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ran: list[str] = []
    monkeypatch.setattr("uvicorn.run", lambda app, **_: ran.append(app))
    result = portal("serve")
    assert (result.exit_code, ran) == (0, ["server.app:app_of_environment"]), result.stderr


def test_serving_process_needs_a_stripe_key(
    practice: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process may be started by another server than `portal serve`."""
    with pytest.raises(WrongSettings, match="STRIPE_API_KEY is not set"):
        served_app()


@pytest.mark.parametrize(
    ("account", "mode", "reached"),
    [
        ("acct_sandbox", PaymentsMode.SANDBOX, True),
        ("acct_1", PaymentsMode.SANDBOX, False),
        ("own", PaymentsMode.SANDBOX, False),
        ("acct_sandbox", PaymentsMode.TEST, False),
        ("acct_sandbox", PaymentsMode.LIVE, False),
        ("acct_1", PaymentsMode.LIVE, True),
        ("own", PaymentsMode.TEST, True),
        ("acct_1", PaymentsMode.OFF, False),
    ],
)
async def test_account_of_another_mode_takes_no_payments(
    new_database: Any, account: str, mode: PaymentsMode, *, reached: bool
) -> None:
    """Also if the row is changed while the server runs."""
    assert is_reached(account, mode) is reached
    if mode in (PaymentsMode.OFF, PaymentsMode.LIVE):
        return
    given = AT_STRIPE if mode is PaymentsMode.TEST else {}
    async with new_database() as url, served(url, **given) as portal:
        await has(portal, account)
        token = await portal.token()
        client = (await portal.ask(ONLINE, token)).json()["data"]["client"]
        online = client["practice"]["onlinePayments"]
        assert online["isEnabled"] is reached
        assert online["mode"] == (mode if reached else "OFF")
        at_stripe = reached and mode is PaymentsMode.TEST
        assert online["publishableKey"] == ("pk_test_1" if at_stripe else None)
        assert online["stripeJs"] == (STRIPE_JS if at_stripe else None)
        assert (client["canAddCard"]["reason"] == "ONLINE_PAYMENTS_OFF") is not reached
        assert (client["canPay"]["reason"] == "ONLINE_PAYMENTS_OFF") is not reached
        if not reached:
            refused = (await portal.ask(PREPARE, token)).json()["data"]["prepareCard"]
            assert refused["code"] == "ONLINE_PAYMENTS_OFF"


@pytest.mark.parametrize("account", ["acct_1", OWN])
async def test_sandbox_has_only_its_own_accounts(account: str) -> None:
    """For a refund, the daily comparison, and a payment under way alike."""
    sandbox = Sandbox(":memory:")
    stripe = sandbox.stripe()
    since = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    assert await stripe.intents("acct_sandbox", since) == []
    with pytest.raises(Forbidden):
        await stripe.intents(account, since)
    await stripe.close()
    sandbox.store.close()
