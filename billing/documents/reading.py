"""A document's rows, as the facts that stand on the paper.

All of it was frozen when the document was issued, or belongs to the practice: what happens later,
a payment or another address, changes no document. A receipt is of one payment and names its client
as the client is called now.
"""

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.documents.wording import Words, locale_of
from billing.superbills import GAP_MESSAGES, SuperbillGapCode
from models import (
    Client,
    Invoice,
    InvoiceLine,
    Letterhead,
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

# Where a sheet of paper is a letter; elsewhere it is A4.
LETTER = frozenset({"US", "CA", "MX", "PR", "PH", "CL", "CO", "VE", "GT", "CR", "PA", "DO"})
METHODS = {
    PaymentMethodKind.CARD: "Card",
    PaymentMethodKind.CASH: "Cash",
    PaymentMethodKind.CHECK: "Check",
    PaymentMethodKind.BANK_TRANSFER: "Bank transfer",
    PaymentMethodKind.CREDIT: "Credit",
    PaymentMethodKind.OTHER: "Other",
}
Facts = dict[str, Any]


@dataclass(frozen=True)
class Document:
    """What is printed. `facts` are texts, as the template of this `kind` takes them."""

    kind: str
    number: str
    issued_on: dt.date
    facts: Facts

    @property
    def file_name(self) -> str:
        return f"{self.kind.capitalize()} {self.number}.pdf"


async def read(rows: AsyncConnection, kind: str, id_: str) -> Document | None:
    """The document of a kind (invoice, statement, superbill, receipt) and a row's id, if it is."""
    table, facts = KINDS[kind]
    found = (await rows.execute(select(table).where(table.id == id_))).first()
    if found is None:
        return None
    practice = (await rows.execute(select(Practice).where(Practice.id == found.practice_id))).one()
    words = Words(practice.currency, practice.locale)
    own = await facts(rows, found, practice, words)
    title = f"{kind.capitalize()} {found.number}"
    sheet = {
        "title": title,
        "language": locale_of(practice.locale).language,
        "paper": "us-letter" if practice.address_country in LETTER else "a4",
        "issued": [found.issued_on.year, found.issued_on.month, found.issued_on.day],
        "contact": " · ".join(filter(None, (practice.phone, practice.email))),
    }
    return Document(kind, found.number, found.issued_on, sheet | own)


async def invoice(rows: AsyncConnection, found: Any, _: Any, words: Words) -> Facts:
    lines = await of(rows, InvoiceLine, InvoiceLine.invoice_id, found)
    return {
        "from": provider(await letterhead(rows, found)),
        "to": {"name": found.client_name, "lines": []},
        "facts": told(
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


async def statement(rows: AsyncConnection, found: Any, _: Any, words: Words) -> Facts:
    lines = await of(rows, StatementLine, StatementLine.statement_id, found)
    return {
        "from": provider(await letterhead(rows, found)),
        "to": {"name": found.client_name, "lines": []},
        "facts": told(
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


async def superbill(rows: AsyncConnection, found: Any, _: Any, words: Words) -> Facts:
    head = await letterhead(rows, found)
    lines = await of(rows, SuperbillLine, SuperbillLine.superbill_id, found)
    diagnoses = await of(rows, SuperbillDiagnosis, SuperbillDiagnosis.superbill_id, found)
    born = found.client_date_of_birth
    return {
        "from": provider(head),
        "to": {
            "name": found.client_name,
            "lines": [*address(found), *([f"Born {words.day(born)}"] if born else [])],
        },
        "facts": told(
            ("Superbill number", found.number),
            ("Issued", words.day(found.issued_on)),
            ("Period", words.period(found.period_start, found.period_end)),
            ("NPI", head.npi),
            ("Licence", head.licence_number),
            ("Tax id ends in", head.tax_id_last4),
        ),
        "missing": missing(found, head, lines, diagnoses),
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


async def receipt(rows: AsyncConnection, found: Any, practice: Any, words: Words) -> Facts:
    same = (Payment.practice_id == found.practice_id, Payment.id == found.payment_id)
    payment = (await rows.execute(select(Payment).where(*same))).one()
    named = (Client.practice_id == found.practice_id, Client.id == found.client_id)
    name = (await rows.execute(select(Client.name).where(*named))).scalar_one()
    brand = payment.card_brand and payment.card_brand.capitalize()
    return {
        "from": {"name": practice.name, "lines": [*address(practice)]},
        "to": {"name": name, "lines": []},
        "facts": told(
            ("Receipt number", found.number),
            ("Paid on", words.day(found.issued_on)),
            ("Method", METHODS[payment.method]),
            ("Card", payment.card_last4 and f"{brand} ending in {payment.card_last4}"),
        ),
        "amount": words.money(found.amount_minor),
    }


KINDS: dict[str, tuple[Any, Callable[[AsyncConnection, Any, Any, Words], Awaitable[Facts]]]] = {
    "invoice": (Invoice, invoice),
    "statement": (Statement, statement),
    "superbill": (Superbill, superbill),
    "receipt": (Receipt, receipt),
}


# -- what documents have in common -----------------------------------------------------------------


async def of(rows: AsyncConnection, table: Any, whose: Any, document: Any) -> list[Row[Any]]:
    """The document's lines, in their order."""
    mine = (table.practice_id == document.practice_id, whose == document.id)
    return list(await rows.execute(select(table).where(*mine).order_by(table.position)))


async def letterhead(rows: AsyncConnection, document: Any) -> Any:
    mine = (Letterhead.practice_id == document.practice_id, Letterhead.id == document.letterhead_id)
    return (await rows.execute(select(Letterhead).where(*mine))).one()


def provider(head: Any) -> Facts:
    name = ", ".join(filter(None, (head.name, head.credentials)))
    return {"name": name, "lines": [*address(head), *filter(None, [head.phone])]}


def address(row: Any) -> list[str]:
    """As on an envelope; nothing where there is none."""
    if row.address_line1 is None:
        return []
    region = " ".join(filter(None, (row.address_region, row.address_postal_code)))
    town = ", ".join(filter(None, (row.address_city, region)))
    return [*filter(None, (row.address_line1, row.address_line2)), town]


def told(*facts: tuple[str, str | None]) -> list[list[str]]:
    """Those of which there is anything to tell."""
    return [[name, text] for name, text in facts if text]


def missing(found: Any, head: Any, lines: list[Any], diagnoses: list[Any]) -> list[str]:
    """What an insurer would miss, in words; the same that the API calls `completeness`."""
    code = SuperbillGapCode
    gaps = {
        code.PROVIDER_NPI: head.npi is None,
        code.PROVIDER_TAX_ID: head.tax_id_encrypted is None,
        code.PROVIDER_ADDRESS: head.address_line1 is None,
        code.CLIENT_DATE_OF_BIRTH: found.client_date_of_birth is None,
        code.CLIENT_ADDRESS: found.address_line1 is None,
        code.DIAGNOSIS: not diagnoses,
        code.CPT_CODE: any(line.cpt_code is None for line in lines),
        code.PLACE_OF_SERVICE: any(line.place_of_service is None for line in lines),
    }
    return [GAP_MESSAGES[gap] for gap, is_missing in gaps.items() if is_missing]
