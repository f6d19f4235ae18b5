"""Documents of a practice, one of each kind, with every optional part."""

import datetime as dt
from typing import Any

from billing.encryption import FieldKeys
from models import (
    CardBrand,
    Client,
    DocumentKind,
    Invoice,
    Letterhead,
    PaymentMethodKind,
    Receipt,
    Statement,
    StatementLine,
    Superbill,
    SuperbillDiagnosis,
    SuperbillLine,
)
from tests.support.factories import DAY, Books

ADDRESSED: dict[str, Any] = {
    "address_line1": "17 Harbor Lane",
    "address_line2": "Suite 3",
    "address_city": "Portland",
    "address_region": "ME",
    "address_postal_code": "04101",
    "address_country": "US",
}


class Papers:
    """Factory of documents in a practice's books."""

    def __init__(self, books: Books, keys: FieldKeys) -> None:
        self.books, self.keys = books, keys

    async def add(self, kind: DocumentKind) -> str:
        """Insert a document, and return its id."""
        made = {
            DocumentKind.INVOICE: self.invoice,
            DocumentKind.STATEMENT: self.statement,
            DocumentKind.SUPERBILL: self.superbill,
            DocumentKind.RECEIPT: self.receipt,
        }
        return await made[kind]()

    async def letterhead(self, **given: Any) -> str:
        facts = {"name": "Ruth Adeyemi", "credentials": "PhD", "phone": "+1 207 555 0142"}
        return await self.books.add(Letterhead, **facts, **ADDRESSED, **given)

    async def invoice(self) -> str:
        books, head = self.books, await self.letterhead()
        void = {"is_void": True, "voided_on": DAY, "notes": "Thank you for coming. *See you!*"}
        id_ = await books.add(
            Invoice, client_id=await books.client(), letterhead_id=head, due_on=DAY, **void
        )
        for position, minor in enumerate((15_000, -2_550, 123_456_789), 1):
            amounts = {"unit_price_minor": minor, "amount_minor": minor, "service_code": "90837"}
            await books.line(id_, None, position=position, date=DAY, is_void=True, **amounts)
        return id_

    async def statement(self) -> str:
        books, head = self.books, await self.letterhead()
        sums = {"beginning_minor": -500, "invoiced_minor": 10_000, "paid_minor": 12_000}
        id_ = await books.add(
            Statement,
            client_id=await books.client(),
            letterhead_id=head,
            ending_minor=-2_500,
            **sums,
        )
        for position, (more, less, after) in enumerate(
            [(10_000, 0, 9_500), (0, 12_000, -2_500)], 1
        ):
            await books.add(
                StatementLine,
                statement_id=id_,
                position=position,
                invoiced_minor=more,
                paid_minor=less,
                balance_after_minor=after,
            )
        return id_

    async def superbill(self) -> str:
        books = self.books
        tax_id = {"tax_id_last4": "6789", "tax_id_encrypted": self.keys.encrypted("12-3456789")}
        head = await self.letterhead(npi="1234567893", licence_number="PS2217", **tax_id)
        born = dt.date(1990, 2, 28)
        id_ = await books.add(
            Superbill,
            client_id=await books.client(),
            letterhead_id=head,
            client_date_of_birth=born,
            **ADDRESSED,
        )
        known = "Generalized anxiety disorder"
        await books.add(SuperbillDiagnosis, superbill_id=id_, description=known)
        visit: dict[str, Any] = {"cpt_code": "90837", "modifiers": ["95", "GT"]}
        visit |= {"place_of_service": "11", "diagnosis_pointers": [1], "session_id": None}
        await books.add(SuperbillLine, superbill_id=id_, **visit)
        visit["cpt_code"] = None
        await books.add(SuperbillLine, superbill_id=id_, position=2, **visit)
        return id_

    async def receipt(self) -> str:
        books, client = self.books, await self.books.add(Client, name="Jamie Appleseed")
        card: dict[str, Any] = {"card_brand": CardBrand.VISA, "card_last4": "4242"}
        paid = await books.payment(client, method=PaymentMethodKind.CARD, **card)
        return await books.add(Receipt, client_id=client, payment_id=paid)
