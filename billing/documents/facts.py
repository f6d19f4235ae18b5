"""The facts of a document's page, read from its rows.

They were frozen when the document was issued, or belong to the practice: later events such as a
payment or another address change no document. A receipt belongs to one payment and shows the
client's current name. It names no service and no card: the payer may have no right to the former,
and others with the right to documents none to the latter.
"""

import datetime as dt
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.documents.formatting import Formatter, locale_of
from billing.documents.links import file_name
from billing.encryption import FieldKeys
from billing.superbills import GAP_MESSAGES, SuperbillGapCode
from models import (
    Client,
    DocumentKind,
    Invoice,
    InvoiceLine,
    Letterhead,
    Logo,
    Payment,
    PaymentMethodKind,
    Practice,
    Receipt,
    Statement,
    StatementLine,
    Superbill,
    SuperbillDiagnosis,
    SuperbillLine,
)

# The countries with paper in letter size; all others use A4.
LETTER = frozenset({"US", "CA", "MX", "PR", "PH", "CL", "CO", "VE", "GT", "CR", "PA", "DO"})
METHODS = {
    PaymentMethodKind.CARD: "Card",
    PaymentMethodKind.CASH: "Cash",
    PaymentMethodKind.CHECK: "Check",
    PaymentMethodKind.BANK_TRANSFER: "Bank transfer",
    PaymentMethodKind.INSURANCE: "Insurance",
    PaymentMethodKind.CREDIT: "Credit",
    PaymentMethodKind.OTHER: "Other",
}
Facts = dict[str, Any]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Document:
    """A document to print. `facts` are texts for the template of this `kind`; `logo` is a picture
    as PNG, JPEG or SVG.
    """

    practice_id: str
    client_id: str
    kind: DocumentKind
    id: str
    is_void: bool
    number: str
    issued_on: dt.date
    facts: Facts
    logo: bytes | None = None

    @property
    def file_name(self) -> str:
        return file_name(self.kind, self.number)


@dataclass(frozen=True)
class FactsReader:
    """The facts of a practice that its documents need."""

    row: Any
    words: Formatter
    keys: FieldKeys


async def read_document(
    conn: AsyncConnection, kind: DocumentKind, practice_id: str, id_: str, keys: FieldKeys
) -> Document | None:
    """Return a practice's document by its kind and its row's id, if there is one.

    `keys` decrypt the tax id, which is printed in full only on a superbill.
    """
    table, facts = KINDS[kind]
    mine = (table.practice_id == practice_id, table.id == id_)
    row = (await conn.execute(select(table).where(*mine))).first()
    if row is None:
        return None
    practice = (await conn.execute(select(Practice).where(Practice.id == practice_id))).one()
    words = Formatter(practice.currency, practice.locale)
    own = await facts(conn, row, FactsReader(practice, words, keys))
    sheet = {
        "title": f"{kind.capitalize()} {row.number}",
        "language": locale_of(practice.locale).language,
        "paper": "us-letter" if practice.address_country in LETTER else "a4",
        "issued": [row.issued_on.year, row.issued_on.month, row.issued_on.day],
        "contact": " · ".join(filter(None, (practice.phone, practice.email))),
    }
    return Document(
        practice_id=row.practice_id,
        client_id=row.client_id,
        kind=kind,
        id=row.id,
        is_void=kind is DocumentKind.INVOICE and row.is_void,
        number=row.number,
        issued_on=row.issued_on,
        facts=sheet | own,
        logo=await read_logo(conn, row),
    )


async def practice_of_document(conn: AsyncConnection, kind: DocumentKind, id_: str) -> str | None:
    """Return the practice of a document, for the operator, who sees all practices."""
    table, _ = KINDS[kind]
    result = await conn.execute(select(table.practice_id).where(table.id == id_))
    return result.scalars().first()


async def invoice_facts(conn: AsyncConnection, found: Any, practised: FactsReader) -> Facts:
    words = practised.words
    lines = await document_lines(conn, InvoiceLine, InvoiceLine.invoice_id, found)
    return {
        "from": provider(await read_letterhead(conn, found)),
        "to": {"name": found.client_name, "lines": []},
        "facts": present_facts(
            ("Invoice number", found.number),
            ("Issued", words.day(found.issued_on)),
            ("Due", found.due_on and words.day(found.due_on)),
        ),
        "void": f"Void since {words.day(found.voided_on)}" if found.is_void else "",
        "lines": [
            [
                words.day(line.date) if line.date else "",
                line.description,
                line.service_code or "",
                words.hundredths(line.quantity_hundredths),
                words.money(line.unit_price_minor),
                words.money(line.amount_minor),
            ]
            for line in lines
        ],
        "total": words.money(found.total_minor),
        "notes": found.notes or "",
    }


async def statement_facts(conn: AsyncConnection, found: Any, practised: FactsReader) -> Facts:
    words = practised.words
    lines = await document_lines(conn, StatementLine, StatementLine.statement_id, found)
    return {
        "from": provider(await read_letterhead(conn, found)),
        "to": {"name": found.client_name, "lines": []},
        "facts": present_facts(
            ("Statement number", found.number),
            ("Issued", words.day(found.issued_on)),
            ("Period", words.period(found.period_start, found.period_end)),
        ),
        "summary": [
            ["Beginning balance", words.balance(found.beginning_minor)],
            ["Invoiced", words.money(found.invoiced_minor)],
            ["Paid", words.money(found.paid_minor)],
            ["Ending balance", words.balance(found.ending_minor)],
        ],
        "lines": [
            [
                words.day(line.date),
                line.description,
                words.money(line.invoiced_minor) if line.invoiced_minor else "",
                words.money(line.paid_minor) if line.paid_minor else "",
                words.balance(line.balance_after_minor),
            ]
            for line in lines
        ],
    }


async def superbill_facts(conn: AsyncConnection, found: Any, practised: FactsReader) -> Facts:
    words = practised.words
    head = await read_letterhead(conn, found)
    rendering = await read_rendering(conn, found)
    lines = await document_lines(conn, SuperbillLine, SuperbillLine.superbill_id, found)
    diagnoses = await document_lines(
        conn, SuperbillDiagnosis, SuperbillDiagnosis.superbill_id, found
    )
    born = found.client_date_of_birth
    return {
        "from": provider(head),
        "to": {
            "name": found.client_name,
            "lines": [*address(found), *([f"Born {words.day(born)}"] if born else [])],
        },
        "facts": present_facts(
            ("Superbill number", found.number),
            ("Issued", words.day(found.issued_on)),
            ("Period", words.period(found.period_start, found.period_end)),
            ("NPI", head.npi),
            ("Licence", head.licence_number),
            tax_id(head, practised.keys),
            *rendering_facts(rendering),
        ),
        "missing": gaps_in_words(found, head, rendering, lines, diagnoses),
        "diagnoses": [[str(one.position), one.code, one.description or ""] for one in diagnoses],
        "lines": [
            [
                words.day(line.date),
                line.place_of_service or "",
                line.cpt_code or "",
                " ".join(line.modifiers),
                words.hundredths(line.units_hundredths),
                ", ".join(map(str, line.diagnosis_pointers)),
                words.money(line.fee_minor),
                words.money(line.paid_minor),
            ]
            for line in lines
        ],
        "totals": [
            words.money(sum(line.fee_minor for line in lines)),
            words.money(sum(line.paid_minor for line in lines)),
        ],
    }


async def receipt_facts(conn: AsyncConnection, found: Any, practised: FactsReader) -> Facts:
    practice, words = practised.row, practised.words
    same = (Payment.practice_id == found.practice_id, Payment.id == found.payment_id)
    method = (await conn.execute(select(Payment.method).where(*same))).scalar_one()
    named = (Client.practice_id == found.practice_id, Client.id == found.client_id)
    name = (await conn.execute(select(Client.name).where(*named))).scalar_one()
    return {
        "from": provider(practice),
        "to": {"name": name, "lines": []},
        "facts": present_facts(
            ("Receipt number", found.number),
            ("Paid on", words.day(found.issued_on)),
            ("Method", METHODS[method]),
        ),
        "amount": words.money(found.amount_minor),
    }


KINDS: dict[
    DocumentKind, tuple[Any, Callable[[AsyncConnection, Any, FactsReader], Awaitable[Facts]]]
] = {
    DocumentKind.INVOICE: (Invoice, invoice_facts),
    DocumentKind.STATEMENT: (Statement, statement_facts),
    DocumentKind.SUPERBILL: (Superbill, superbill_facts),
    DocumentKind.RECEIPT: (Receipt, receipt_facts),
}


# -- common parts of documents ---------------------------------------------------------------------


async def document_lines(
    conn: AsyncConnection, table: Any, whose: Any, document: Any
) -> list[Row[Any]]:
    """Return the document's lines, in order."""
    mine = (table.practice_id == document.practice_id, whose == document.id)
    return list(await conn.execute(select(table).where(*mine).order_by(table.position)))


async def read_letterhead(conn: AsyncConnection, document: Any) -> Any:
    mine = (Letterhead.practice_id == document.practice_id, Letterhead.id == document.letterhead_id)
    return (await conn.execute(select(Letterhead).where(*mine))).one()


async def read_rendering(conn: AsyncConnection, superbill: Any) -> Any:
    """Return the letterhead of a rendering provider that is not the billing provider."""
    mine = Letterhead.practice_id == superbill.practice_id
    own = Letterhead.id == superbill.rendering_letterhead_id
    return (await conn.execute(select(Letterhead).where(mine, own))).first()


async def read_logo(conn: AsyncConnection, document: Any) -> bytes | None:
    """Return the practice's logo, as it was on the day of issue."""
    mine = (Logo.practice_id == document.practice_id, Logo.since <= document.issued_on)
    statement = select(Logo.content).where(*mine).order_by(Logo.since.desc()).limit(1)
    return (await conn.execute(statement)).scalar_one_or_none()


def tax_id(head: Any, keys: FieldKeys) -> tuple[str, str | None]:
    """Return the full tax id, or its last digits if it can't be decrypted."""
    whole = keys.read(head.tax_id_encrypted) if head.tax_id_encrypted else None
    if whole is not None:
        return "Tax id", whole
    if head.tax_id_encrypted:
        log.warning("The tax id of letterhead %s can't be read: see FIELD_KEY", head.id)
    return "Tax id ends in", head.tax_id_last4


def rendering_facts(head: Any) -> list[tuple[str, str | None]]:
    """Return the facts of a rendering provider, or none without one."""
    if head is None:
        return []
    return [
        ("Rendering provider", provider(head)["name"]),
        ("Rendering provider's NPI", head.npi),
        ("Rendering provider's licence", head.licence_number),
    ]


def provider(head: Any) -> Facts:
    """Return the sender: a letterhead, or the practice."""
    name = ", ".join(filter(None, (head.name, getattr(head, "credentials", None))))
    return {"name": name, "lines": [*address(head), *filter(None, [head.phone])]}


def address(row: Any) -> list[str]:
    """Return the lines of a postal address, or none if there is no address."""
    if row.address_line1 is None:
        return []
    region = " ".join(filter(None, (row.address_region, row.address_postal_code)))
    town = ", ".join(filter(None, (row.address_city, region)))
    return [*filter(None, (row.address_line1, row.address_line2)), town]


def present_facts(*facts: tuple[str, str | None]) -> list[list[str]]:
    """Return the facts that have a value."""
    return [[name, text] for name, text in facts if text]


def gaps_in_words(
    found: Any, head: Any, rendering: Any, lines: list[Any], diagnoses: list[Any]
) -> list[str]:
    """Return the gaps of a superbill in words, the same as the API's `completeness`."""
    code = SuperbillGapCode
    gaps = {
        code.PROVIDER_NPI: head.npi is None,
        code.PROVIDER_TAX_ID: head.tax_id_encrypted is None,
        code.PROVIDER_ADDRESS: head.address_line1 is None,
        code.RENDERING_PROVIDER_NPI: rendering is not None and rendering.npi is None,
        code.CLIENT_DATE_OF_BIRTH: found.client_date_of_birth is None,
        code.CLIENT_ADDRESS: found.address_line1 is None,
        code.DIAGNOSIS: not diagnoses,
        code.CPT_CODE: any(line.cpt_code is None for line in lines),
        code.PLACE_OF_SERVICE: any(line.place_of_service is None for line in lines),
    }
    return [GAP_MESSAGES[gap] for gap, is_missing in gaps.items() if is_missing]
