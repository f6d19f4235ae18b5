"""The operator's commands about money, over the demo's practices."""

import asyncio
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pypdf import PdfReader
from sqlalchemy import select
from typer.testing import CliRunner, Result

from billing.payments import audit as payments_audit
from billing.payments.audit import Difference
from billing.stripe import Unknown
from models import (
    Allocation,
    Invoice,
    LedgerEntry,
    Logo,
    Payment,
    PaymentState,
    Practice,
    Receipt,
    Statement,
    Superbill,
    database,
)
from models.ids import new_id
from sandbox.store import Store
from server.cli import demo, payments
from server.cli import main as cli
from server.cli.demo_letterheads import LOGO
from server.cli.demo_sandbox import seeded
from tests.support.demo_snapshot import PORTAL, SANDBOX, copy_database
from tests.support.portal import KEY

URL = f"sqlite:///{PORTAL}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the demo once, and return the folder of its two files."""
    folder = tmp_path_factory.mktemp("made")
    url, store = f"sqlite:///{folder / PORTAL}", Store(str(folder / SANDBOX))

    async def make() -> None:
        keys = {"token_key": KEY, "field_key": Fernet.generate_key().decode()}
        await demo.prepare_database(url, keys, "http://127.0.0.1/portal/", None)
        await seeded(url, store)

    asyncio.run(make())
    store.close()
    return folder


@pytest.fixture
def payment(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Go to a folder with the demo's files, and return the id of a payment by card."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("TOKEN_KEY", KEY)
    monkeypatch.setenv("SANDBOX", "true")
    for name in (PORTAL, SANDBOX):
        copy_database(made / name, tmp_path / name)
    by_card = Payment.stripe_id.is_not(None), Payment.state == PaymentState.SUCCEEDED
    refunded = select(LedgerEntry.payment_id).where(LedgerEntry.kind == "REFUND")
    (id_,) = asyncio.run(first(Payment.id, where=(*by_card, Payment.id.not_in(refunded))))
    return f"pmt_{id_}"


def portal(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


def there(kind: str) -> list[dict[str, Any]]:
    store = Store(SANDBOX)
    found = store.all(kind)
    store.close()
    return found


def test_sandbox_charges_are_dated_like_the_payments(payment: str) -> None:
    async def rows() -> dict[str, int]:
        engine = database.engine(URL)
        columns = select(Payment.stripe_id, Payment.charged_at)
        by_card = Payment.stripe_id.is_not(None), Payment.state == PaymentState.SUCCEEDED
        async with engine.connect() as conn:
            found = (await conn.execute(columns.where(*by_card))).all()
        await engine.dispose()
        return {row.stripe_id: int(row.charged_at.timestamp()) for row in found}

    charged = asyncio.run(rows())
    assert len(set(charged.values())) > 1
    assert {one["payment_intent"]: one["created"] for one in there("charge")} == charged


def test_refund_is_made_once_and_the_ledger_matches_stripe(payment: str) -> None:
    assert portal("reconcile").stdout == "The ledger agrees with Stripe.\n"
    part = portal("refund", payment, "--amount", "1.25")
    assert part.exit_code == 0
    begun, resume, done = part.stdout.splitlines()
    assert begun == "Refunding 1.25 USD. If this is interrupted, resume it by"
    assert done.startswith(f"1.25 USD of {payment}: SUCCEEDED (re_")
    # Neither the printed command nor one without a key refunds twice.
    assert portal(*resume.split()[1:]).stdout.splitlines() == [done]
    twice = portal("refund", payment, "--amount", "1.25")
    assert twice.exit_code == 1
    assert "choose a new key" in twice.stderr
    assert portal("refund", payment).exit_code == 0
    (first, rest) = there("refund")
    assert first["amount"] == 125
    assert first["amount"] + rest["amount"] == there_charge(first["charge"])
    assert portal("reconcile").exit_code == 0
    again = portal("refund", payment)
    assert again.exit_code == 1
    assert "more than is left" in again.stderr


def test_refund_of_an_invoice_is_resumed_with_it(payment: str) -> None:
    async def numbers() -> list[str]:
        engine = database.engine(URL)
        of_payment = Allocation.payment_id == payment.removeprefix("pmt_")
        paid = select(Invoice.number).join(Allocation, Allocation.invoice_id == Invoice.id)
        async with engine.connect() as conn:
            found = list(await conn.scalars(paid.where(of_payment, ~Allocation.is_credit)))
        await engine.dispose()
        return found

    number, *_ = asyncio.run(numbers())
    _, resume, done = portal("refund", payment, "--invoice", number).stdout.splitlines()
    assert f"--invoice {number}" in resume
    assert portal(*resume.split()[1:]).stdout.splitlines() == [done]
    assert portal("reconcile").exit_code == 0
    assert len(there("refund")) == 1


def there_charge(charge: str) -> int:
    return int(next(one["amount"] for one in there("charge") if one["id"] == charge))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pmt_nothing"], "There is no payment pmt_nothing."),
        (["inv_00000000-0000-4000-8000-000000000000"], "There is no payment inv_"),
        (["PAYMENT", "--amount", "1.255"], "1.255 is not an amount in USD."),
        (["PAYMENT", "--amount", "NaN"], "NaN is not an amount in USD."),
        (["PAYMENT", "--amount", "1e999999999"], "1e999999999 is not an amount in USD."),
        (["PAYMENT", "--amount", "-1"], "must be more than 0"),
        (["PAYMENT", "--amount", "99999"], "no more than is left"),
        (["PAYMENT", "--invoice", "INV-0"], "There is no invoice INV-0."),
        (["PAYMENT", "--invoice", "inv_0"], "There is no invoice inv_0."),
    ],
)
def test_invalid_refund_is_refused_with_a_reason(
    payment: str, arguments: list[str], said: str
) -> None:
    refused = portal("refund", *(payment if one == "PAYMENT" else one for one in arguments))
    assert refused.exit_code == 1
    assert said in refused.stderr
    assert there("refund") == []


def test_difference_is_listed_and_sets_the_exit_code(payment: str) -> None:
    store = Store(SANDBOX)
    intent = next(
        one for one in store.all("payment_intent") if f"pmt_{one['metadata']['payment']}" == payment
    )
    with store.transaction():
        store.save("acct_sandbox", intent | {"amount_received": 1})
    store.close()
    found = portal("reconcile", "--since", "2020-01-01")
    assert found.exit_code == 1
    (line,) = found.stdout.splitlines()
    assert payment in line
    assert "1 at Stripe" in line


DOCUMENTS: dict[str, Any] = {"inv": Invoice, "stm": Statement, "sbl": Superbill, "rct": Receipt}


@pytest.mark.parametrize("prefix", DOCUMENTS)
def test_document_is_written_as_pdf(payment: str, prefix: str) -> None:
    table = DOCUMENTS[prefix]
    number, id_ = asyncio.run(first(table.number, table.id))
    written = portal("document", f"{prefix}_{id_}", "--out", "it.pdf")
    assert written.exit_code == 0, written.stderr
    assert number in written.stdout
    assert number in PdfReader("it.pdf").pages[0].extract_text()


async def first(*columns: Any, where: Sequence[Any] = ()) -> tuple[Any, ...]:
    """Return the first row of the columns."""
    engine = database.engine(URL)
    async with engine.connect() as conn:
        row = (await conn.execute(select(*columns).where(*where).limit(1))).one()
    await engine.dispose()
    return tuple(row)


@pytest.mark.parametrize("id_", ["", "inv_", "inv_1", "pmt_00000000-0000-7000-8000-000000000000"])
def test_unknown_document_is_refused(payment: str, id_: str) -> None:
    told = portal("document", id_, "--out", "it.pdf")
    assert told.exit_code == 1
    assert told.stderr.strip().endswith(f"There is no document {id_}.")
    assert not Path("it.pdf").exists()


def test_logo_is_set_and_other_files_are_refused(payment: str) -> None:
    _, practice = asyncio.run(first(Practice.name, Practice.id))
    Path("logo.svg").write_bytes(LOGO)
    Path("note.txt").write_text("not a picture")
    given = portal("logo", f"pra_{practice}", "logo.svg", "--since", "2026-02-03")
    assert given.exit_code == 0, given.stderr
    assert "from 2026-02-03 on" in given.stdout
    of = Logo.practice_id == practice, Logo.since == dt.date(2026, 2, 3)
    assert asyncio.run(first(Logo.content, where=of)) == (LOGO,)
    for wrong, said in {
        (f"pra_{practice}", "note.txt"): "not a PNG, JPEG or SVG",
        ("pra_x", "logo.svg"): "There is no practice pra_x",
    }.items():
        told = portal("logo", *wrong)
        assert told.exit_code == 1
        assert said in told.stderr


def test_payment_is_ended_only_with_a_reason_and_while_open(payment: str) -> None:
    without = portal("payment", "end", payment, "--because", " ")
    assert without.exit_code == 1
    assert "Give a reason" in without.stderr
    over = portal("payment", "end", payment, "--because", "account closed")
    assert over.exit_code == 1
    assert "The payment is over: it is SUCCEEDED." in over.stderr


def test_practice_that_fails_does_not_stop_the_comparison_of_others(
    payment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, practices = list[str](), (new_id(), new_id())

    async def audit(_: object, practice_id: str, *__: object) -> list[Difference]:
        asked.append(practice_id)
        raise ValueError if len(asked) == 1 else Unknown("no answer")

    async def all_accounts(_: object) -> list[tuple[str, str]]:
        return [(practices[0], "acct_1"), (practices[1], "acct_2")]

    monkeypatch.setattr(payments_audit, "audit", audit)
    monkeypatch.setattr(payments, "all_accounts", all_accounts)
    found = portal("reconcile")
    assert found.exit_code == 1
    first, second = found.stdout.splitlines()
    assert first == f"pra_{practices[0]}  acct_1  not compared: ValueError"
    assert second == f"pra_{practices[1]}  acct_2  not compared: Stripe does not answer for it"
