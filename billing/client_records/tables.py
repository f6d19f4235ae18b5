"""The tables of a client's record: which rows of each belong to a client, and which columns.

Every table is either in RECORD or, with the reason, in LEFT_OUT.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, and_, case, select, union_all

from models import (
    AccessEntry,
    Allocation,
    CardSetup,
    ChainLink,
    ChainRoot,
    Claim,
    Client,
    ClientNamePart,
    Clinician,
    Contact,
    ContactRight,
    DataVersion,
    Detachment,
    Dispute,
    DocumentCounter,
    DocumentSchedule,
    ErasedValue,
    EventEndpoint,
    ExternalReference,
    Installation,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Letterhead,
    Logo,
    OutboxEvent,
    PastImport,
    Payment,
    PaymentMethod,
    Practice,
    PracticeVersion,
    PrintedDocument,
    Receipt,
    Recovery,
    Refund,
    Row,
    Session,
    SignInLimit,
    SignInLink,
    SignInRequest,
    Statement,
    StatementLine,
    StripeCustomer,
    StripeEvent,
    Superbill,
    SuperbillDiagnosis,
    SuperbillLine,
    Token,
    UnadoptedPayment,
)

# The condition that rows of a table of a practice belong to the client with an id, which may be an
# expression. Its subqueries name the practice too, so that they use its indexes.
Condition = Callable[[str, Any], ColumnElement[bool]]
# Columns of the workers and of the protocol with Stripe, and keyed hashes: they say nothing about
# the client.
TECHNICAL = frozenset(
    {
        "practice_id",
        "folded_name",
        "mailbox",
        "address_hash",
        "idempotency_key",
        "fingerprint",
        "revision",
        "checked_at",
        "leased_until",
        "digest",
        "content",
    }
)


@dataclass(frozen=True)
class RecordTable:
    """A table of the record. `secret` are columns that would let somebody act as the client."""

    model: type[Row]
    description: str
    belongs: Condition
    secret: frozenset[str] = frozenset()
    # Columns that are empty in rows of another person, a contact.
    of_holder: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return str(self.model.__tablename__)

    @property
    def columns(self) -> Sequence[Column[Any]]:
        left_out = TECHNICAL | self.secret
        table: Any = self.model.__table__
        return [column for column in table.c if column.name not in left_out]

    @property
    def values(self) -> Sequence[ColumnElement[Any]]:
        """Return what the columns' values are read from."""
        table: Any = self.model.__table__
        return [
            case((table.c.contact_id.is_(None), column)).label(column.name)
            if column.name in self.of_holder
            else column
            for column in self.columns
        ]


def own(model: Any) -> Condition:
    """Return the condition of a table whose rows name their client."""
    return lambda _, client_id: model.client_id == client_id


def own_as_holder(model: Any) -> Condition:
    """Return the condition of a table of cards whose rows may be of a contact."""
    return lambda _, client_id: and_(model.client_id == client_id, model.contact_id.is_(None))


def part(column: Any, whole: Any) -> Condition:
    """Return the condition of a table whose rows are parts of a client's document."""
    return lambda practice_id, client_id: column.in_(
        of_client(whole, whole.id, practice_id, client_id)
    )


def is_contact(practice_id: str, client_id: Any) -> ColumnElement[bool]:
    """Return the condition that a contact has rights to the client's bills."""
    return Contact.id.in_(of_client(ContactRight, ContactRight.contact_id, practice_id, client_id))


def of_client(model: Any, column: Any, practice_id: str, client_id: Any) -> Select[Any]:
    """Select a column of the rows of a table that name the client."""
    return select(column).where(model.practice_id == practice_id, model.client_id == client_id)


# The tables whose rows a record of another system can be entered as. Contacts may be of several
# clients, and a reference to one is kept as long as the contact.
REFERRED: Sequence[Any] = (Session, Invoice, Payment, LedgerEntry, Statement, Superbill, Refund)


def is_reference(practice_id: str, client_id: Any) -> ColumnElement[bool]:
    """Return the condition that a reference is to the client, or to one of the client's rows."""
    rows = [of_client(model, model.id, practice_id, client_id) for model in REFERRED]
    client = Client.practice_id == practice_id, Client.id == client_id
    ids = union_all(select(Client.id).where(*client), *rows).subquery()
    return ExternalReference.row_id.in_(select(ids.c.id))


def of_mailbox(model: Any) -> Condition:
    """Return the condition that a row of signing in has the client's e-mail address."""
    address = Client.mailbox.is_not(None)
    return lambda practice_id, client_id: model.email.in_(
        select(Client.mailbox).where(
            Client.practice_id == practice_id, Client.id == client_id, address
        )
    )


RECORD: Sequence[RecordTable] = (
    RecordTable(Client, "The client.", lambda _, client_id: Client.id == client_id),
    RecordTable(ContactRight, "The rights of contacts to the client's bills.", own(ContactRight)),
    RecordTable(Contact, "The contacts with such rights.", is_contact),
    RecordTable(Session, "Sessions, and their fees.", own(Session)),
    RecordTable(Invoice, "Invoices, as they were issued.", own(Invoice)),
    RecordTable(InvoiceLine, "The lines of invoices.", part(InvoiceLine.invoice_id, Invoice)),
    RecordTable(
        LedgerEntry, "The ledger: the balance is the sum of its amounts.", own(LedgerEntry)
    ),
    RecordTable(
        Payment,
        "Payments, and attempts at payments. A contact's card is not named.",
        own(Payment),
        of_holder=frozenset({"card_brand", "card_last4"}),
    ),
    RecordTable(Claim, "Amounts that a payment under way holds.", own(Claim)),
    RecordTable(Allocation, "Funds that were put toward invoices, or taken back.", own(Allocation)),
    RecordTable(Receipt, "Receipts of payments.", own(Receipt)),
    RecordTable(Refund, "Refunds to cards.", own(Refund)),
    RecordTable(Dispute, "Payments that were disputed at a bank.", own(Dispute)),
    RecordTable(Statement, "Statements, as they were issued.", own(Statement)),
    RecordTable(
        StatementLine, "The lines of statements.", part(StatementLine.statement_id, Statement)
    ),
    RecordTable(Superbill, "Superbills, as they were issued.", own(Superbill)),
    RecordTable(
        SuperbillLine, "The visits of superbills.", part(SuperbillLine.superbill_id, Superbill)
    ),
    RecordTable(
        SuperbillDiagnosis,
        "The diagnoses of superbills.",
        part(SuperbillDiagnosis.superbill_id, Superbill),
    ),
    RecordTable(PrintedDocument, "The files of documents, by document.", own(PrintedDocument)),
    RecordTable(
        PaymentMethod,
        "The client's own cards, also those that were removed.",
        own_as_holder(PaymentMethod),
    ),
    RecordTable(
        CardSetup, "Forms by which the client was to keep a card.", own_as_holder(CardSetup)
    ),
    RecordTable(Detachment, "Cards and customers that were removed at Stripe.", own(Detachment)),
    RecordTable(StripeCustomer, "The client's customers at Stripe.", own(StripeCustomer)),
    RecordTable(Token, "Sign-ins, and tokens.", own(Token), frozenset({"hash"})),
    RecordTable(
        SignInLink,
        "Links that were sent to the client's address.",
        of_mailbox(SignInLink),
        frozenset({"secret_hash", "nonce_hash", "used_nonce_hash", "email_hash"}),
    ),
    RecordTable(ExternalReference, "The keys of other systems' records.", is_reference),
    RecordTable(AccessEntry, "The audit log of access to the client's data.", own(AccessEntry)),
    RecordTable(ErasedValue, "Digests of values that were erased.", own(ErasedValue)),
    RecordTable(ChainLink, "The hash chain that proves the ledger.", own(ChainLink)),
)
OF_PRACTICE = "It is the practice's, and about no client."
LEFT_OUT: Mapping[type[Row], str] = {
    ClientNamePart: "The words of the client's name, for searches: the name is in the record.",
    SignInRequest: "It is of an address of nobody in particular, and ends after an hour.",
    SignInLimit: "It counts keyed hashes.",
    StripeEvent: "It names an object at Stripe, and what came of it is in other tables.",
    UnadoptedPayment: "Its client is not in the database.",
    OutboxEvent: "It names a row that changed, and the row is in the record.",
    DataVersion: "It tells that some row has changed, and nothing about it.",
    ChainRoot: "It is one hash over all clients of the practice.",
    **dict.fromkeys(
        (
            Clinician,
            DocumentCounter,
            DocumentSchedule,
            EventEndpoint,
            Installation,
            Letterhead,
            Logo,
            PastImport,
            Practice,
            PracticeVersion,
            Recovery,
        ),
        OF_PRACTICE,
    ),
}
