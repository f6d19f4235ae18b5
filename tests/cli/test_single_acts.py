"""Single acts on the command line: clinicians, clients, contacts, invoices, payments, credit."""

import datetime as dt
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
from sqlalchemy import delete, insert

from billing.encryption import FieldKeys
from billing.entry.outside_payments import DESCRIPTIONS
from models import (
    AccessEntry,
    Client,
    ContactRight,
    Installation,
    InvoiceLine,
    LedgerEntry,
    Letterhead,
    Payment,
    Receipt,
    Session,
)
from models.ids import new_id
from server.cli.payment_commands import MethodName
from tests.support.command_desk import FIELD_KEY, OPERATOR, CommandDesk, command_desk

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
ADDRESS = ("--line1", "1 Main", "--city", "Austin", "--postal-code", "78701", "--country", "US")


class Account(NamedTuple):
    """A client of a practice, at an operator's desk."""

    desk: CommandDesk
    practice: str
    client: str

    async def invoices(self) -> list[dict[str, Any]]:
        return await self.desk.listed("invoice", "list", self.client)

    async def due(self) -> list[str]:
        return [one["amount_due"] for one in await self.invoices()]

    async def issue(self, *lines: str, more: tuple[str, ...] = ()) -> str:
        options = [part for line in lines for part in ("--line", line)]
        return await self.desk.done("invoice", "issue", self.client, *options, *more)

    async def entries(self) -> list[Any]:
        """Return the entries of the audit log about the client."""
        found = await self.desk.rows(AccessEntry, self.practice)
        assert {one.name for one in found} == {OPERATOR}
        mine = [one for one in found if one.client_id == self.client[4:]]
        return [(one.operation, one.action) for one in sorted(mine, key=lambda one: str(one.id))]


@pytest.fixture(scope="module")
async def desk(new_database: NewDatabase) -> AsyncIterator[CommandDesk]:
    async with new_database() as url, command_desk(url) as desk:
        yield desk


@pytest.fixture
async def account(desk: CommandDesk) -> Account:
    practice = await desk.practice("--days-until-due", "30")
    client = await desk.done("client", "create", "--practice", practice, "--name", "Ana Prieto")
    return Account(desk, practice, client)


# -- persons ---------------------------------------------------------------------------------------


async def test_client_is_entered_changed_archived_and_restored(account: Account) -> None:
    desk, practice, client = account
    own = ("client", "list", "--practice", practice)
    changes = ("--email", "ana@example.com", "--date-of-birth", "1990-02-28", *ADDRESS)
    assert await desk.done("client", "update", client, *changes) == f"{client} is changed."
    assert await desk.done("client", "update", client, *changes) == "Nothing is changed."
    await desk.done("client", "update", client, "--name", "Ana Osei", "--clear", "email")
    assert await desk.listed(*own) == [
        {
            "id": client,
            "name": "Ana Osei",
            "email": None,
            "phone": None,
            "date_of_birth": "1990-02-28",
            "clinician": None,
            "archived_on": None,
            "merged_into": None,
        }
    ]
    (row,) = await desk.rows(Client, practice)
    assert (row.address_line1, row.folded_name) == ("1 Main", "ana osei")
    await desk.done("client", "archive", client, "--on", "2026-01-31")
    assert await desk.listed(*own) == []
    (left,) = await desk.listed(*own, "--archived")
    assert left["archived_on"] == "2026-01-31"
    await desk.done("client", "restore", client)
    assert await desk.done(*own, "--search", "OSE") == f"{client}  Ana Osei"
    assert await desk.done(*own, "--search", "na") == ""
    changed = [
        "portal client create",
        "portal client update",
        "portal client update",
        "portal client archive",
        "portal client restore",
    ]
    assert await account.entries() == [(operation, "CHANGE") for operation in changed]


async def test_person_of_another_system_is_entered_once(desk: CommandDesk) -> None:
    practice = await desk.practice()
    for kind in ("client", "clinician"):
        create = (kind, "create", "--practice", practice, "--external-id", "7", "--name")
        first = await desk.done(*create, "Ruth Adeyemi")
        assert await desk.done(*create, "Ruth Adeyemi-Okoro") == first
        other = await desk.done(*create, "Ruth Adeyemi", "--source", "ehr")
        assert other != first
        names = [one["name"] for one in await desk.listed(kind, "list", "--practice", practice)]
        assert sorted(names) == ["Ruth Adeyemi", "Ruth Adeyemi-Okoro"]


async def test_clinician_has_a_letterhead(desk: CommandDesk) -> None:
    practice = await desk.practice()
    number = ("--npi", "1457384927", "--licence-number", "L1", "--tax-id", "12-3456789")
    create = ("clinician", "create", "--practice", practice, "--name", "Ruth Adeyemi")
    clinician = await desk.done(*create, "--credentials", "LCSW", *number)
    line = f"{clinician}  Ruth Adeyemi, LCSW  1457384927"
    assert await desk.done("clinician", "list", "--practice", practice) == line
    await desk.done("clinician", "update", clinician, *ADDRESS)
    same = await desk.done("clinician", "update", clinician, "--tax-id", "12-3456789")
    assert same == "Nothing is changed."
    _, before, after = await desk.rows(Letterhead, practice)
    assert (before.address_line1, after.address_line1, after.npi) == (None, "1 Main", "1457384927")
    assert FieldKeys([FIELD_KEY]).read(after.tax_id_encrypted) == "12-3456789"
    client = ("client", "create", "--practice", practice, "--name", "Ana", "--clinician")
    await desk.done(*client, clinician)
    assert await desk.refused(*client, f"cln_{new_id()}") == "There is no such clinician here."


async def test_contact_is_changed(account: Account) -> None:
    desk, _, client = account
    link = ("contact", "link", client, "--relation", "PARENT", "--pay", "--name")
    gail = (await desk.done(*link, "Gail", "--email", "gail@example.com")).partition(":")[0]
    other = (await desk.done(*link, "Gus", "--email", "gus@example.com")).partition(":")[0]
    changed = await desk.done("contact", "update", gail, "--name", "Gail Ahn")
    assert changed == f"{gail} is Gail Ahn <gail@example.com>."
    taken = await desk.refused("contact", "update", gail, "--email", "Gus@example.com")
    assert taken == f"{other} has this address: link that contact instead."
    await desk.done("contact", "update", gail, "--email", "ahn@example.com")
    assert "Gail Ahn <ahn@example.com>" in await desk.done("contact", "list", client)
    assert len(await desk.rows(ContactRight, account.practice)) == 2


# -- invoices, payments and credit -----------------------------------------------------------------


async def test_money_is_entered_and_the_books_hold(account: Account) -> None:
    desk, practice, client = account
    invoice = await account.issue("Report = for school=120.00", "Letter=25")
    (issued,) = await account.invoices()
    today = dt.date.fromisoformat(issued["issued_on"])
    assert issued == {
        "id": invoice,
        "number": f"INV-{today.year}-0001",
        "issued_on": today.isoformat(),
        "due_on": (today + dt.timedelta(30)).isoformat(),
        "currency": "USD",
        "total": "145.00",
        "amount_due": "145.00",
        "is_void": False,
        "is_shared": True,
    }
    later = await account.issue("Copy=10.00", more=("--due-on", today.isoformat(), "--no-shared"))
    paid = ("--invoice", f"INV-{today.year}-0002", "--reference", "1042", "--payer", "Gail Ahn")
    check = ("payment", "record", client, "--method", "CHECK", "--amount")
    payment = await desk.done(*check, "4", *paid)
    (entry,) = [one for one in await desk.rows(LedgerEntry, practice) if one.kind == "PAYMENT"]
    assert entry.description == "Payment by check 1042 from Gail Ahn"
    assert await account.due() == ["145.00", "6.00"]
    await desk.done(*check, "50.00", "--paid-on", today.isoformat())
    assert await account.due() == ["95.00", "6.00"]
    await desk.done("payment", "refund", payment, "--amount", "1.50")
    assert await account.due() == ["95.00", "7.50"]
    written_off = await desk.done("invoice", "write-off", later)
    await desk.done("invoice", "adjust", invoice, "--amount", "-5", "--description", "Scale")
    assert await account.due() == ["90.00", "0.00"]
    credit = await desk.done("credit", "give", client, "--amount", "30", "--description", "Gift")
    applied = await desk.done("credit", "apply", invoice, "--amount", "20")
    assert applied == f"Of invoice INV-{today.year}-0001 70.00 USD is due."
    assert all(one.startswith("aht_") for one in (written_off, credit))
    number = f"Invoice INV-{today.year}-0001"
    assert await desk.done("invoice", "void", invoice) == f"{number} is void."
    first, second = (await desk.done("invoice", "list", client)).splitlines()
    assert first.endswith("145.00 USD  void")
    assert second.endswith(f"10.00 USD  due 0.00 by {today}")
    assert len(await desk.rows(Receipt, practice)) == 2
    await desk.done("verify", "--practice", practice)
    done = [operation for operation, action in await account.entries() if action == "CHANGE"]
    assert done == [
        "portal client create",
        *["portal invoice issue"] * 2,
        *["portal payment record"] * 2,
        "portal payment refund",
        "portal invoice write-off",
        "portal invoice adjust",
        "portal credit give",
        "portal credit apply",
        "portal invoice void",
    ]


async def test_record_of_another_system_is_entered_once(account: Account) -> None:
    desk, practice, client = account
    invoice = await account.issue("Report=120.00")
    acts: list[tuple[str, ...]] = [
        ("invoice", "issue", client, "--line", "Letter=5.00"),
        ("payment", "record", client, "--method", "CASH", "--amount", "10"),
        ("invoice", "write-off", invoice, "--amount", "1"),
        ("invoice", "adjust", invoice, "--amount", "2", "--description", "Late"),
        ("credit", "give", client, "--amount", "3", "--description", "Gift"),
        ("credit", "apply", invoice, "--amount", "3"),
    ]
    for act in acts:
        first = await desk.done(*act, "--external-id", "9")
        assert await desk.done(*act, "--external-id", "9") == first
        changed = [part.replace("CASH", "CHECK") for part in (*act, "--amount", "4")]
        if act[1] != "issue":
            refused = await desk.refused(*changed, "--external-id", "9")
            assert refused == "The record was entered before with other values."
    (payment,) = await desk.rows(Payment, practice)
    refund = ("payment", "refund", f"pmt_{payment.id}", "--amount", "1", "--external-id", "9")
    assert await desk.done(*refund) == await desk.done(*refund)
    # 120 - 10 paid - 1 written off + 2 - 3 of the credit + 1 given back.
    assert await account.due() == ["109.00", "5.00"]
    await desk.done("verify", "--practice", practice)


FILE = """
due_on = 2026-12-24
issued_on = 2026-11-02
notes = \"\"\"Thank you.
Until soon\"\"\"
number = "5512"
shared = false

[[lines]]
description = "Report"
unit_price = 120.35
quantity = 1.5
date = 2026-10-30
service_code = "90889"

[[lines]]
description = "Letter"
unit_price = "25"
"""


async def test_invoice_of_a_file(account: Account, tmp_path: Path) -> None:
    file = tmp_path / "invoice.toml"
    file.write_text(FILE)
    options = ("--line", "Copy=1.25", "--due-on", "2026-12-31")
    await account.desk.done("invoice", "issue", account.client, str(file), *options)
    (invoice,) = await account.invoices()
    # One and a half of 120.35 is 180.525, which is rounded half away from zero.
    assert (invoice["total"], invoice["number"], invoice["is_shared"]) == ("206.78", "5512", False)
    assert (invoice["issued_on"], invoice["due_on"]) == ("2026-11-02", "2026-12-31")
    lines = await account.desk.rows(InvoiceLine, account.practice)
    assert [(one.description, one.amount_minor, one.service_code) for one in lines] == [
        ("Report", 18053, "90889"),
        ("Letter", 2500, None),
        ("Copy", 125, None),
    ]


async def test_sessions_are_invoiced_once(account: Account) -> None:
    desk, practice, client = account
    sessions = [new_id() for _ in range(3)]
    async with desk.engine.begin() as conn:
        for session in sessions:
            own = {"practice_id": practice[4:], "client_id": client[4:], "id": session}
            facts = {"date": dt.date(2026, 3, 2), "description": "Therapy", "fee_minor": 15000}
            await conn.execute(Session.__table__.insert().values(**own, **facts))  # type: ignore[attr-defined]
    one = ("--session", f"ses_{sessions[1]}")
    await account.issue(more=one)
    assert "on another invoice" in await desk.refused("invoice", "issue", client, *one)
    await account.issue("Letter=5", more=("--uninvoiced",))
    assert [one["total"] for one in await account.invoices()] == ["150.00", "305.00"]
    refused = await desk.refused("invoice", "issue", client, "--uninvoiced")
    assert refused.startswith("lines are not between 1 and")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("client update cli_1 --phone 1", "There is no client cli_1."),
        ("client create --practice pra_1 --name x", "There is no practice pra_1."),
        ("client update CLIENT --clear name", "name can't be removed: email, phone, "),
        ("client update CLIENT --country US", "An address needs line1 and city and postal_code to"),
        ("client update CLIENT --email nowhere", "email is not one e-mail address."),
        ("client archive CLIENT --on 2099-01-01", "archived_on is in the future."),
        ("clinician update cln_1 --phone 1", "There is no clinician cln_1."),
        ("contact update x --name y", "There is no contact x."),
        ("invoice issue CLIENT --line Letter", 'Letter is not a line as "Report for school=120.'),
        ("invoice issue CLIENT --line Letter=1.234", "1.234 is not an amount in USD."),
        ("invoice issue CLIENT --line Letter=NaN", "NaN is not an amount in USD."),
        ("invoice issue CLIENT --line Letter=1e30", "1e30 is not an amount in USD."),
        ("invoice issue CLIENT --line =1", "description is empty."),
        ("invoice issue CLIENT", "lines are not between 1 and 1000."),
        ("invoice issue CLIENT --line L=1 --due-on 2026-01-01", "due_on is before the invoice is"),
        ("invoice issue CLIENT --session ses_1", "session_id is not an id."),
        ("invoice void inv_1", "There is no invoice inv_1."),
        ("payment record CLIENT --method CASH --amount 0", "amount_minor is not between 1 and"),
        ("payment record CLIENT --method CASH --amount 1 --invoice x", "has no invoice x."),
        ("payment record CLIENT --method CASH --amount 1 --paid-on 2099-01-01", "in the future."),
        ("payment refund pmt_1 --amount 1", "There is no payment pmt_1."),
        ("credit give CLIENT --amount -1 --description x", "The client has less unused credit."),
    ],
)
async def test_wrong_act_is_refused_with_a_sentence(
    shared_account: Account, arguments: str, said: str
) -> None:
    words = arguments.replace("CLIENT", shared_account.client).split()
    assert said in await shared_account.desk.refused(*words)


@pytest.fixture(scope="module")
async def shared_account(desk: CommandDesk) -> Account:
    practice = await desk.practice()
    client = await desk.done("client", "create", "--practice", practice, "--name", "Ana Prieto")
    return Account(desk, practice, client)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("due = 2026-12-24", "there is no key 'due': due_on is meant?"),
        ("due_on = 2026-12-24T12:00:00", "due_on has to be a day as 2026-11-30."),
        ("due_on = '2026-12-24'", "due_on has to be a day as 2026-11-30."),
        ("lines = 1", "lines are written as [[lines]]"),
        ("lines = [1]", "lines are written as [[lines]]"),
        ("[[lines]]\nprice = 1", "there is no key 'price': unit_price is meant?"),
        ("[[lines]]\nunit_price = true", "line 1: unit_price has to be a number as 12.50."),
        ("[[lines]]\nunit_price = nan\ndescription = 'x'", "NaN is not an amount in USD."),
        ("[[lines]]\nunit_price = 1\nquantity = 1.234", "1.234 is not a number with at most two"),
        ("[[lines]]\nunit_price = 1", "description is empty."),
        ("number = [", "is not a TOML file"),
    ],
)
async def test_wrong_file_of_an_invoice_is_refused_with_a_sentence(
    shared_account: Account, tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "invoice.toml"
    file.write_text(content)
    refused = await shared_account.desk.refused(
        "invoice", "issue", shared_account.client, str(file)
    )
    assert said in refused


async def test_restored_database_takes_no_entry_before_its_recovery(
    account: Account, tmp_path: Path
) -> None:
    desk, practice, client = account
    entries = [
        ("invoice", "issue", client, "--line", "Letter=5"),
        ("import", str(tmp_path), "--practice", practice),
    ]
    async with desk.engine.begin() as conn:
        await conn.execute(insert(Installation).values(id=1, identity="of the backup"))
    try:
        for entry in entries:
            refused = await desk.refused(*entry)
            assert refused.startswith("The database was restored from a backup")
        assert await account.invoices() == []
    finally:
        async with desk.engine.begin() as conn:
            await conn.execute(delete(Installation))
    await account.issue("Letter=5")


def test_every_method_outside_the_portal_may_be_named() -> None:
    assert set(get_args(MethodName)) == set(DESCRIPTIONS)


@pytest.mark.parametrize("day", ["2026-02-30", "tomorrow"])
async def test_wrong_day_is_a_usage_error(shared_account: Account, day: str) -> None:
    act = ("client", "archive", shared_account.client, "--on", day)
    result = await shared_account.desk.run(*act)
    assert result.exit_code == 2
    assert re.search(f"{day} is not a day as 2026-11-30", result.stderr)
