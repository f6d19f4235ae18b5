"""Texts of the PDFs, extracted again and compared with the rows that were written."""

import io
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from pathlib import Path

import pylopdf_fonts_zh_cn
import pytest
from cryptography.fernet import Fernet
from pypdf import PdfReader
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.documents.facts import practice_of_document, read_document
from billing.documents.typesetting import render_pdf
from billing.encryption import FieldKeys
from models import (
    CardBrand,
    Client,
    DocumentKind,
    Invoice,
    InvoiceLine,
    Letterhead,
    PaymentMethodKind,
    Practice,
    Receipt,
    Statement,
    StatementLine,
    Superbill,
    SuperbillDiagnosis,
    SuperbillLine,
)
from models.database import engine
from models.migrations import upgrade
from tests.support import shares
from tests.support.factories import Books

KEYS = FieldKeys([Fernet.generate_key().decode()])
FONTS = [str(Path(pylopdf_fonts_zh_cn.__file__).parent)]
CHINESE = "王小明"
NAMES = [
    "Renée O\N{RIGHT SINGLE QUOTATION MARK}Hara-Łukasiewicz",
    "Şükrü Đặng-Ångström",
    CHINESE,
    "محمد",
    "#import *a* _b_ $x$ <b>&amp;</b> \\emph @c",
    "[a](b) = `c` // d /* e */ ~",
]
CURRENCIES = {"USD": 2, "JPY": 0, "KWD": 3}
LENGTHS = (1, 1, 2, 2, 3, 3, 8, 40, 40, 500)
# Documents of each kind on each database.
EACH = shares.number(25, quick=3)


@pytest.fixture(scope="module")
async def conn(
    new_database: Callable[[], AbstractAsyncContextManager[str]],
) -> AsyncIterator[AsyncConnection]:
    async with new_database() as url:
        database = engine(url)
        await upgrade(database)
        async with database.begin() as conn:
            yield conn
        await database.dispose()


class Written:
    """A random practice, and the texts that its documents have to contain."""

    def __init__(self, books: Books, chance: random.Random, currency: str) -> None:
        self.books, self.chance, self.currency = books, chance, currency
        self.texts: list[str] = []

    def figure(self, minor: int) -> str:
        """Return an amount in English notation, with commas between thousands, and expect it."""
        decimals = CURRENCIES[self.currency]
        number = f"{Decimal(abs(minor)).scaleb(-decimals):,.{decimals}f}"
        self.texts.append(number)
        return number

    def text(self, *choices: str) -> str:
        chosen = self.chance.choice(choices or NAMES)
        self.texts.append(chosen)
        return chosen

    def amount(self, *, signed: bool = False) -> int:
        size = self.chance.choice((9, 999, 99_999, 12_345_678_901))
        amount = self.chance.randint(1, size)
        return -amount if signed and self.chance.random() < 0.3 else amount

    async def letterhead(self) -> str:
        return await self.books.add(
            Letterhead, name=self.text(), tax_id_last4="1234", phone="+1 207 555 0101"
        )


async def written(conn: AsyncConnection, seed: int) -> Written:
    chance = random.Random(seed)
    books = await Books.opened(conn)
    currency = chance.choice(sorted(CURRENCIES))
    changed = {"currency": currency, "locale": chance.choice(("en-US", "en", "en-XX", "en-GB"))}
    await conn.execute(update(Practice).where(Practice.id == books.practice).values(changed))
    return Written(books, chance, currency)


async def invoice(made: Written) -> str:
    books = made.books
    lines = made.chance.choice(LENGTHS)
    amounts = [made.amount(signed=True) for _ in range(lines)]
    made.figure(sum(amounts))
    id_ = await books.add(
        Invoice,
        client_id=await books.client(),
        letterhead_id=await made.letterhead(),
        client_name=made.text(),
        number=made.text("INV-2026-0042"),
        total_minor=sum(amounts),
        notes=made.text(),
    )
    for position, amount in enumerate(amounts, 1):
        made.figure(amount)
        await books.add(
            InvoiceLine,
            invoice_id=id_,
            session_id=None,
            position=position,
            description=made.text(),
            unit_price_minor=amount,
            amount_minor=amount,
        )
    return id_


async def statement(made: Written) -> str:
    books = made.books
    beginning = balance = made.amount(signed=True)
    moves = [(made.amount(), made.amount()) for _ in range(made.chance.choice(LENGTHS))]
    invoiced, paid = (sum(side) for side in zip(*moves, strict=True))
    for amount in (beginning, invoiced, paid, beginning + invoiced - paid):
        made.figure(amount)
    id_ = await books.add(
        Statement,
        client_id=await books.client(),
        letterhead_id=await made.letterhead(),
        client_name=made.text(),
        beginning_minor=beginning,
        invoiced_minor=invoiced,
        paid_minor=paid,
        ending_minor=beginning + invoiced - paid,
    )
    for position, (more, less) in enumerate(moves, 1):
        balance += more - less
        for amount in (more, less, balance):
            made.figure(amount)
        await books.add(
            StatementLine,
            statement_id=id_,
            position=position,
            description=made.text(),
            invoiced_minor=more,
            paid_minor=less,
            balance_after_minor=balance,
        )
    if balance < 0:
        made.texts.append("CR")
    return id_


async def superbill(made: Written) -> str:
    books = made.books
    visits = [(made.amount(), made.amount()) for _ in range(made.chance.choice(LENGTHS))]
    for total in map(sum, zip(*visits, strict=True)):
        made.figure(total)
    id_ = await books.add(
        Superbill,
        client_id=await books.client(),
        letterhead_id=await made.letterhead(),
        client_name=made.text(),
    )
    await books.add(
        SuperbillDiagnosis,
        superbill_id=id_,
        position=1,
        code=made.text("F41.1", "F43.22"),
        description=made.text(),
    )
    for position, (fee, paid) in enumerate(visits, 1):
        made.figure(fee)
        made.figure(paid)
        await books.add(
            SuperbillLine,
            superbill_id=id_,
            session_id=None,
            position=position,
            cpt_code=made.text("90834", "90837"),
            modifiers=["95", "GT"],
            diagnosis_pointers=[1],
            fee_minor=fee,
            paid_minor=paid,
        )
    return id_


async def receipt(made: Written) -> str:
    books = made.books
    client = await books.add(Client, name=made.text())
    amount = made.amount()
    made.figure(amount)
    payment = await books.payment(
        client,
        amount_minor=amount,
        method=PaymentMethodKind.CARD,
        card_brand=CardBrand.VISA,
        card_last4="0005",
    )
    return await books.add(Receipt, client_id=client, payment_id=payment, amount_minor=amount)


KINDS = {
    DocumentKind.INVOICE: invoice,
    DocumentKind.STATEMENT: statement,
    DocumentKind.SUPERBILL: superbill,
    DocumentKind.RECEIPT: receipt,
}


@pytest.mark.campaign
@pytest.mark.parametrize("kind", KINDS)
async def test_every_figure_and_name_is_in_the_pdf(
    conn: AsyncConnection, kind: DocumentKind
) -> None:
    for seed in range(EACH):
        made = await written(conn, seed)
        id_ = await KINDS[kind](made)
        document = await read_document(conn, kind, made.books.practice, id_, KEYS)
        assert document is not None
        pdf = render_pdf(document, FONTS)
        assert pdf.is_archival
        missing = lacking(pdf.content, made.texts)
        assert missing == [], f"{kind} of seed {seed}"


def lacking(pdf: bytes, texts: list[str]) -> list[str]:
    """Return the texts that occur less often than they were written, ignoring spaces."""
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages]
    whole = squeezed("".join(pages))
    numbers = re.findall(r"[\d,.]*\d", " ".join(pages))
    found: list[str] = []
    for text in set(texts):
        if re.fullmatch(r"[\d,.]+", text):
            # A figure has to be a whole number of the text, not a part of another.
            if numbers.count(text) < texts.count(text):
                found.append(text)
        elif squeezed(text) not in whole:
            found.append(text)
    return found


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


async def test_missing_figure_is_reported(conn: AsyncConnection) -> None:
    made = await written(conn, 1)
    document = await read_document(
        conn, DocumentKind.INVOICE, made.books.practice, await invoice(made), KEYS
    )
    assert document is not None
    pdf = render_pdf(document, FONTS).content
    assert lacking(pdf, [*made.texts, "31,415.92"]) == ["31,415.92"]


@pytest.mark.parametrize("kind", KINDS)
async def test_unknown_document_is_not_found(conn: AsyncConnection, kind: DocumentKind) -> None:
    books = await Books.opened(conn)
    nowhere = "00000000-0000-7000-8000-000000000000"
    assert await read_document(conn, kind, books.practice, nowhere, KEYS) is None
    assert await practice_of_document(conn, kind, nowhere) is None
