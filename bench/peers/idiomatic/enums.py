"""The domain's enums that the types use."""

import strawberry

from billing.accounts import BalanceTermKind, PermissionReason
from billing.history import HistoryStatus
from billing.invoices import InvoiceStatus
from billing.payments import PaymentStatus
from billing.periods import Period
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
