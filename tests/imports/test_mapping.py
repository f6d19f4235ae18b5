"""Mappings: another system's files, headings, words and formats in place of ours."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.imports.mapping import WrongMapping, read_mapping
from models import Client, Invoice, Payment, Session
from tests.support.import_folders import ImportDesk, import_database, write_folder

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
MAPPING = b"""
distinct = ["invoices"]

[formats]
date = "%m/%d/%Y"
time = "%I:%M %p"
currency_symbol = "$"
thousands = ","

[files]
clients = "Client List.csv"
sessions = "Appointments.csv"
invoices = "Billing.csv"
invoice_lines = "Billing.csv"
payments = "Payments.csv"

[clients]
id = "Client ID"
name = "Client Name"

[sessions]
id = "Appt"
client_id = "Client ID"
date = "Date"
starts_at = "Start"
description = "Service"
fee = "Fee"

[invoices]
id = "Invoice"
client_id = "Client ID"
issued_on = "Date"

[invoice_lines]
invoice_id = "Invoice"
description = "Item"
unit_price = "Amount"

[payments]
id = "Payment"
client_id = "Client ID"
paid_on = "Date"
amount = "Amount"
method = "Type"

[constants.payments]
payer = "Self"

[words.payments.method]
"Credit card" = "CARD"

[only.sessions]
Status = ["Attended"]

[ignored]
files = ["Tasks.csv"]
clients = ["Pronouns"]
"""
EXPORT = {
    "Client List": "Client ID,Client Name,Pronouns\n7,Ana Prieto,she\n",
    "Appointments": "Appt,Client ID,Date,Start,Service,Fee,Status\n"
    '1,7,01/05/2026,02:30 PM,Psychotherapy,"$1,150.00",Attended\n'
    "2,7,01/12/2027,02:30 PM,Psychotherapy,$150.00,Scheduled\n",
    "Billing": "Invoice,Client ID,Date,Item,Amount\n"
    "55,7,01/31/2026,Letter,$20.00\n55,7,01/31/2026,Report,$80.00\n",
    "Payments": "Payment,Client ID,Date,Amount,Type\n9,7,02/01/2026,$100.00,Credit card\n",
    "Tasks": "whatever\n",
}


@pytest.fixture(scope="module")
async def engine(new_database: NewDatabase) -> AsyncIterator[AsyncEngine]:
    async with new_database() as url, import_database(url) as engine:
        yield engine


@pytest.fixture
async def desk(engine: AsyncEngine, tmp_path: Path) -> ImportDesk:
    return await ImportDesk(engine, tmp_path / "export").open()


def written(desk: ImportDesk, **changes: str) -> Path:
    path = write_folder(desk.path, {})
    for name, text in (EXPORT | changes).items():
        (path / f"{name}.csv").write_text(text)
    return path


async def test_export_of_another_system_is_imported(desk: ImportDesk) -> None:
    mapping = read_mapping(MAPPING)
    report = await desk.load(written(desk), mapping=mapping)
    assert [str(one) for one in report.faults] == []
    assert [one["name"] for one in await desk.rows(Client)] == ["Ana Prieto"]
    (session,) = await desk.rows(Session)
    assert (session["fee_minor"], session["starts_at"].isoformat()) == (
        115_000,
        "2026-01-05T19:30:00+00:00",
    )
    (invoice,) = await desk.rows(Invoice)
    assert invoice["total_minor"] == 10_000
    (payment,) = await desk.rows(Payment)
    assert payment["method"] == "CARD"
    counts = await desk.counts()
    assert (await desk.load(written(desk), mapping=mapping)).is_imported
    assert await desk.counts() == counts


async def test_faults_name_the_exports_own_files_and_headings(desk: ImportDesk) -> None:
    billing = EXPORT["Billing"].replace("01/31/2026,Report", "31.01.2026,Report")
    clients = EXPORT["Client List"].replace("Pronouns", "Client Namee")
    path = written(desk, Billing=billing, **{"Client List": clients})
    report = await desk.load(path, mapping=read_mapping(MAPPING))
    assert sorted(str(one) for one in report.faults) == [
        "Billing.csv:3:Date: is no day of this form: write a day as 11/30/2026",
        "Billing.csv:3:Invoice: is the same record as line 2: leave one of the two out",
        "Client List.csv:1:Client Namee: is no column of this file: did you mean Client Name?",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[clients]\nnam = 'Name'", "unknown column clients.nam: did you mean name?"),
        ("[client]\nname = 'Name'", "unknown section client: did you mean clients?"),
        ("[formats]\ndates = '%d'", "unknown format dates: did you mean date?"),
        ("[files]\nclient = 'a.csv'", "unknown file files.client: did you mean clients?"),
        ("[clients]\nname = 1", "clients whose values are not all texts"),
        ("distinct = 1", "a list distinct whose items are not all texts"),
        ("[clients", "is no TOML"),
        ("name = '\udcff'", "is no TOML"),
    ],
)
def test_wrong_mapping_is_told(text: str, reason: str) -> None:
    with pytest.raises(WrongMapping, match=reason):
        read_mapping(text.encode(errors="surrogateescape"))
