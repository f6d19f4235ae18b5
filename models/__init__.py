"""The rows: mapped classes, one noun a module, and the connections to the databases."""

from models.access_entry import AccessAction, AccessEntry, ActorKind
from models.card_setup import CardSetup, Detachment
from models.chain import ChainedTable, ChainLink, ChainRoot, ErasedValue
from models.client import Client, ClientNamePart, Contact, ContactRight, Relation
from models.counter import DocumentCounter, DocumentKind
from models.data_version import DataScope, DataVersion
from models.document_schedule import DocumentSchedule
from models.external_reference import ExternalReference
from models.invoice import Invoice, InvoiceLine
from models.ledger import EntryKind, LedgerEntry
from models.logo import Logo
from models.outbox import EndpointStatus, EventEndpoint, EventKind, OutboxEvent
from models.past_import import PastImport
from models.payment import (
    Allocation,
    Claim,
    DeclineReason,
    Payment,
    PaymentMethodKind,
    PaymentRefusal,
    Receipt,
)
from models.payment_method import CardBrand, PaymentMethod
from models.practice import Clinician, Letterhead, Practice
from models.practice_version import PracticeVersion
from models.printed_document import PrintedDocument
from models.recovery import Installation, Recovery, UnadoptedPayment
from models.reversal import Dispute, Refund
from models.row import Row
from models.session import Session
from models.sign_in import SignInLimit, SignInLink, SignInRequest
from models.statement import Statement, StatementLine
from models.states import (
    ACTIVE_STATES,
    ENDED_STATES,
    PAYMENT_TRANSITIONS,
    TRANSITIONS,
    DisputeState,
    PaymentState,
    RefundState,
    SetupState,
    State,
    Transitions,
)
from models.stripe_customer import StripeCustomer
from models.stripe_event import StripeEvent
from models.superbill import Superbill, SuperbillDiagnosis, SuperbillLine
from models.token import READ_SCOPES, Scope, Token, ViewerKind

__all__ = [
    "ACTIVE_STATES",
    "ENDED_STATES",
    "PAYMENT_TRANSITIONS",
    "READ_SCOPES",
    "TRANSITIONS",
    "AccessAction",
    "AccessEntry",
    "ActorKind",
    "Allocation",
    "CardBrand",
    "CardSetup",
    "ChainLink",
    "ChainRoot",
    "ChainedTable",
    "Claim",
    "Client",
    "ClientNamePart",
    "Clinician",
    "Contact",
    "ContactRight",
    "DataScope",
    "DataVersion",
    "DeclineReason",
    "Detachment",
    "Dispute",
    "DisputeState",
    "DocumentCounter",
    "DocumentKind",
    "DocumentSchedule",
    "EndpointStatus",
    "EntryKind",
    "ErasedValue",
    "EventEndpoint",
    "EventKind",
    "ExternalReference",
    "Installation",
    "Invoice",
    "InvoiceLine",
    "LedgerEntry",
    "Letterhead",
    "Logo",
    "OutboxEvent",
    "PastImport",
    "Payment",
    "PaymentMethod",
    "PaymentMethodKind",
    "PaymentRefusal",
    "PaymentState",
    "Practice",
    "PracticeVersion",
    "PrintedDocument",
    "Receipt",
    "Recovery",
    "Refund",
    "RefundState",
    "Relation",
    "Row",
    "Scope",
    "Session",
    "SetupState",
    "SignInLimit",
    "SignInLink",
    "SignInRequest",
    "State",
    "Statement",
    "StatementLine",
    "StripeCustomer",
    "StripeEvent",
    "Superbill",
    "SuperbillDiagnosis",
    "SuperbillLine",
    "Token",
    "Transitions",
    "UnadoptedPayment",
    "ViewerKind",
]
