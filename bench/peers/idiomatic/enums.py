"""The domain's enums that the types use."""

import strawberry

from billing.ledger.balance import BalanceTermKind, PermissionReason
from billing.ledger.history import HistoryStatus
from billing.ledger.invoices import InvoiceStatus
from billing.ledger.periods import Period
from billing.payments.status import PaymentStatus
from models import CardBrand, EntryKind

NAMES = {
    BalanceTermKind: "BalanceTermKind",
    CardBrand: "CardBrand",
    EntryKind: "AccountHistoryKind",
    HistoryStatus: "AccountHistoryStatus",
    InvoiceStatus: "InvoiceStatus",
    PaymentStatus: "PaymentStatus",
    Period: "Period",
    PermissionReason: "PermissionReason",
}

for members, name in NAMES.items():
    # Strawberry modifies the class. If the portal is in the same process, its definition stays.
    if not hasattr(members, "__strawberry_definition__"):
        strawberry.enum(members, name=name)
