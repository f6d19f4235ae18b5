"""`portal practice`: practices are created, changed and listed."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from billing.encryption import FieldKeys
from models import AccessEntry, ActorKind, Letterhead, Logo
from tests.support.command_desk import FIELD_KEY, OPERATOR, REQUIRED, CommandDesk, command_desk

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
EXAMPLE = Path(__file__).parents[2] / "docs" / "import" / "practice.toml"
ADDRESS = ("--line1", "1 Main", "--city", "Austin", "--postal-code", "78701", "--country", "US")


@pytest.fixture(scope="module")
async def desk(new_database: NewDatabase) -> AsyncIterator[CommandDesk]:
    async with new_database() as url, command_desk(url) as desk:
        yield desk


async def facts_of(desk: CommandDesk, practice: str) -> dict[str, Any]:
    (facts,) = [one for one in await desk.listed("practice", "list") if one["id"] == practice]
    return facts


async def test_example_file_is_a_practice(desk: CommandDesk) -> None:
    created = await desk.run("practice", "create", str(EXAMPLE), "--json")
    assert created.exit_code == 0, created.output
    practice = json.loads(created.stdout)["id"]
    assert "Online Payments are on, in acct_sandbox_juniper." in created.stderr
    facts = await facts_of(desk, practice)
    assert facts == {
        "id": practice,
        "name": "Juniper Street Counseling",
        "time_zone": "America/New_York",
        "currency": "USD",
        "locale": "en-US",
        "phone": "+1 207 555 0186",
        "email": "billing@juniperstreet.example.com",
        "portal_url": "http://127.0.0.1:8000/portal/",
        "stripe_account": "acct_sandbox_juniper",
        "online_payments": True,
        "clients_remove_cards": True,
        "days_until_due": 30,
        "address": {
            "line1": "48 Juniper Street",
            "line2": "Suite 2",
            "city": "Portland",
            "region": "ME",
            "postal_code": "04101",
            "country": "US",
        },
        "npi": "1457384927",
        "tax_id_last4": "7832",
        "has_logo": True,
        "numbers": {
            "invoice": {"prefix": "INV", "next": 1001},
            "statement": {"prefix": "STM", "next": 1},
            "superbill": {"prefix": "SB", "next": 1},
            "receipt": {"prefix": "R", "next": 1},
        },
    }
    (letterhead,) = await desk.rows(Letterhead, practice)
    assert (letterhead.name, letterhead.address_city) == ("Juniper Street Counseling", "Portland")
    assert FieldKeys([FIELD_KEY]).read(letterhead.tax_id_encrypted) == "00-4417832"
    (logo,) = await desk.rows(Logo, practice)
    assert logo.content == EXAMPLE.with_name("logo.svg").read_bytes()
    entries = await desk.rows(AccessEntry, practice)
    assert {(one.kind, one.name, one.operation) for one in entries} == {
        (ActorKind.OPERATOR, OPERATOR, "portal practice create")
    }
    # The same file again changes nothing, and does not make a second practice.
    again = await desk.run("practice", "create", str(EXAMPLE))
    assert (again.exit_code, again.stderr.partition(" ")[0]) == (1, practice)
    assert (
        await desk.run("practice", "update", practice, str(EXAMPLE))
    ).stdout == "Nothing is changed.\n"
    assert await facts_of(desk, practice) == facts
    assert len(await desk.rows(AccessEntry, practice)) == len(entries)
    assert len(await desk.rows(Letterhead, practice)) == 1


async def test_option_wins_over_the_file(desk: CommandDesk, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('name = "Alder"\ntime_zone = "UTC"\ncurrency = "EUR"\nlocale = "de-DE"\n')
    created = await desk.run(
        "practice", "create", str(file), "--name", "Alder Row", "--days-until-due", "0"
    )
    facts = await facts_of(desk, created.stdout.strip())
    assert (facts["name"], facts["currency"], facts["days_until_due"]) == ("Alder Row", "EUR", 0)
    assert (facts["stripe_account"], facts["online_payments"]) == (None, False)


async def test_update_changes_what_is_given_alone(desk: CommandDesk) -> None:
    practice = await desk.practice("--phone", "1", "--tax-id", "12-3456789", *ADDRESS)
    changes = ("--days-until-due", "14", "--email", "a@b.example", "--no-clients-remove-cards")
    result = await desk.run("practice", "update", practice, *changes)
    assert result.stdout == f"{practice}: changed email, days_until_due.\n"
    facts = await facts_of(desk, practice)
    assert (facts["email"], facts["days_until_due"], facts["phone"]) == ("a@b.example", 14, "1")
    # Neither is on a letterhead.
    assert len(await desk.rows(Letterhead, practice)) == 1
    await desk.run("practice", "update", practice, "--line1", "2 Main", "--clear", "phone")
    _, moved = await desk.rows(Letterhead, practice)
    assert (moved.address_line1, moved.address_city, moved.phone) == ("2 Main", "Austin", None)
    assert FieldKeys([FIELD_KEY]).read(moved.tax_id_encrypted) == "12-3456789"
    await desk.run("practice", "update", practice, *("--clear", "address", "--clear", "tax_id"))
    facts = await facts_of(desk, practice)
    assert (facts["address"], facts["tax_id_last4"], facts["phone"]) == (None, None, None)


async def test_online_payments_are_turned_on_and_off(desk: CommandDesk) -> None:
    practice = await desk.practice("--stripe-account", "acct_sandbox_on")
    assert (await facts_of(desk, practice))["online_payments"] is True
    await desk.run("practice", "update", practice, "--no-online-payments")
    assert (await facts_of(desk, practice))["stripe_account"] is None
    refused = await desk.run("practice", "update", practice, "--online-payments")
    assert "Online Payments need a stripe_account" in refused.stderr
    await desk.run(
        "practice", "update", practice, "--stripe-account", "acct_sandbox_on", "--online-payments"
    )
    assert (await facts_of(desk, practice))["stripe_account"] == "acct_sandbox_on"
    other = await desk.practice()
    refused = await desk.run("practice", "update", other, "--stripe-account", "acct_sandbox_on")
    assert refused.stderr.startswith(f"stripe_account is that of {practice}: ")


async def test_list_has_a_line_for_each_practice(desk: CommandDesk) -> None:
    practice = await desk.practice()
    (line,) = [
        line
        for line in (await desk.run("practice", "list")).stdout.splitlines()
        if line.startswith(practice)
    ]
    assert line.endswith("America/Chicago  USD  no Online Payments")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--name", " "), "name is empty."),
        (("--time-zone", "Mars/Olympus"), "not a time zone of the IANA database, such as"),
        (("--currency", "usd"), "not a currency of ISO 4217, such as USD"),
        (("--locale", "xx-unknown"), "not a locale, such as en-US"),
        (("--email", "nowhere"), "email is not one e-mail address"),
        (("--portal-url", "javascript:1"), "portal_url is not an https address, such as"),
        (("--npi", "1457384921"), "npi is not a National Provider Identifier"),
        (("--tax-id", "12-34"), "tax_id is not as 12-3456789"),
        (("--tax-id", "12-34567890", *ADDRESS), "tax_id is not as 12-3456789"),
        (("--city", "Austin"), "An address needs line1 and postal_code and country too."),
        ((*ADDRESS, "--country", "USA"), "country is not a country code of two letters"),
        (("--stripe-account", "acct_1"), "the sandbox's accounts begin with acct_sandbox"),
        (
            ("--stripe-account", "acct_sandbox_x", "--currency", "IRR"),
            "does not charge cards in IR",
        ),
        (("--online-payments",), "Online Payments need a stripe_account"),
        (("--days-until-due", "-1"), "days_until_due is not an integer between 0 and"),
        (("--invoice-prefix", "A B"), "invoice_prefix is not a prefix of up to 12"),
        (("--invoice-prefix", "RCP"), "invoice_prefix is that of receipts already"),
        (("--invoice-start", "0"), "invoice_start is not an integer between 1 and"),
        (("--logo", "nowhere.svg"), "nowhere.svg can't be read"),
        (("--logo", str(EXAMPLE)), "is not a PNG, JPEG or SVG"),
        (("nowhere.toml",), "nowhere.toml can't be read"),
        ((str(EXAMPLE.with_name("logo.svg")),), "is not a TOML file"),
    ],
)
async def test_wrong_setting_is_refused_with_a_sentence(
    desk: CommandDesk, arguments: tuple[str, ...], said: str
) -> None:
    result = await desk.run("practice", "create", "--name", "Refused", *REQUIRED, *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert "Refused" not in (await desk.run("practice", "list")).stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'nmae = "Alder"', "there is no key 'nmae': name is meant?"),
        (b"[address]\nzip = 1", "there is no key 'address.zip': address.city is meant?"),
        (b"[numbers.bill]\nstart = 1", "there is no key 'numbers.bill.start'"),
        (b"zzzzzzzz = 1", "the keys are name, time_zone, "),
        (b"name = 1", "name has to be a text in quotes."),
        (b"days_until_due = true", "days_until_due has to be a whole number."),
        (b'online_payments = "yes"', "online_payments has to be true or false."),
        (b"name = [1]", "name has to be a text in quotes."),
        (b'name = "Al\xe9der"', "is not a text in UTF-8"),
        (b"", "A practice needs name and time_zone and currency and locale: as keys"),
        (b'tax_id = "12-3456789"\n', "needs name"),
    ],
)
async def test_wrong_file_is_refused_with_a_sentence(
    desk: CommandDesk, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "own.toml"
    file.write_bytes(content)
    result = await desk.run("practice", "create", str(file))
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--time-zone", "UTC"),
            "The time_zone of a practice never changes: create another practice.",
        ),
        (
            ("--currency", "EUR"),
            "The currency of a practice never changes: create another practice.",
        ),
        (("--clear", "name"), "name can't be removed: phone, email, "),
    ],
)
async def test_wrong_change_is_refused_with_a_sentence(
    desk: CommandDesk, arguments: tuple[str, ...], said: str
) -> None:
    practice = await desk.practice()
    before = await facts_of(desk, practice)
    result = await desk.run("practice", "update", practice, *arguments, "--phone", "1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert await facts_of(desk, practice) == before


async def test_unknown_practice_is_refused(desk: CommandDesk) -> None:
    for practice in ("pra_1", "pra_00000000-0000-7000-8000-000000000000"):
        result = await desk.run("practice", "update", practice, "--phone", "1")
        assert result.stderr == f"There is no practice {practice}.\n"


async def test_tax_id_needs_the_key_that_encrypts(
    desk: CommandDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FIELD_KEY")
    result = await desk.run(
        "practice", "create", "--name", "x", *REQUIRED, "--tax-id", "12-3456789"
    )
    assert "FIELD_KEY is not set" in result.stderr
