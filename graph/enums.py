"""The enums of the schema: enums of the lower layers with their descriptions."""

import enum
from typing import Any

import strawberry

from billing.entry.rows import EntryChange
from billing.errors import ErrorCode
from billing.ledger.balance import BalanceTermKind, PermissionReason
from billing.ledger.history import HistoryStatus
from billing.ledger.invoices import InvoiceStatus
from billing.ledger.periods import Period
from billing.payments.status import PaymentsMode, PaymentStatus
from billing.superbills import SuperbillGapCode
from models import (
    AccessAction,
    ActorKind,
    CardBrand,
    DeclineReason,
    EntryKind,
    PaymentMethodKind,
    Relation,
    Scope,
    ViewerKind,
)
from resolvers.clients import ClientOrderField
from resolvers.invoices import InvoiceOrderField
from resolvers.ordering import OrderDirection
from resolvers.payment_methods import Payer


def described(
    members: type[enum.Enum], description: str, name: str | None = None, **values: str
) -> None:
    """Add an enum to the schema. Every value needs a description."""
    strawberry.enum(members, name=name, description=description)
    definition: Any = members.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values.pop(value.name)
    assert not values, values


described(
    Payer,
    "A person who pays for a client, as the viewer knows them.",
    VIEWER="The viewer.",
    CLIENT="The client.",
    CONTACT="A contact of the client who is not the viewer.",
)
described(
    ViewerKind,
    "The kind of viewer that a token belongs to.",
    CLIENT="A client, with access to their own billing.",
    CONTACT="A parent, guardian or partner, with access to the clients that they are linked to.",
    DASHBOARD="A program of the practice that reads the whole practice, within its scopes.",
    INTEGRATION="A program of the practice that enters data: its token has `billing:write`. It"
    " reads within its other scopes, as a dashboard does.",
)
described(
    ActorKind,
    "The kind of person or program that accesses a client's data.",
    CLIENT="A client.",
    CONTACT="A parent, guardian or partner of a client.",
    DASHBOARD="A program of the practice that reads.",
    INTEGRATION="A program of the practice that enters data.",
    OPERATOR="The practice's operator, at the command line.",
)
described(
    AccessAction,
    "A kind of access to a client's data.",
    READ="The data was read.",
    CHANGE="The data was changed: a payment, a card, a refund, a contact's rights or a token.",
    SIGN_IN="A person with access to the data signed in.",
    SIGN_OUT="A person with access to the data signed out, or one of their sign-ins was ended.",
    REFUSED="The data was requested but not returned, because the token lacks a scope.",
)
described(
    Relation,
    "The relation of a contact to a client.",
    PARENT="A parent.",
    GUARDIAN="A guardian.",
    PARTNER="A partner.",
)
described(
    EntryChange,
    "What a mutation has done to the practice's data.",
    ENTERED="A new record was entered.",
    CHANGED="A record that was there was changed.",
    UNCHANGED="Nothing: the same was entered before.",
)
described(
    Scope,
    "A permission of a token.",
    BILLING_READ="Single clients and their bills: balances, invoices, payments and cards"
    " (`billing:read`).",
    DOCUMENTS_READ="Documents to print and download (`documents:read`). They also need `phi:read`,"
    " since all documents are health information.",
    PHI_READ="Health information: names, sessions and diagnoses (`phi:read`).",
    AGGREGATES_READ="Sums over the whole practice: `revenue` and `aging` (`aggregates:read`).",
    BILLING_WRITE="To enter clients, sessions, invoices, payments and documents of the practice"
    " (`billing:write`). It includes no permission to read.",
)
described(
    BalanceTermKind,
    "A kind of part of the balance. The parts are signed and add up to the balance.",
    INVOICED="All lines of invoices, less those of void invoices; positive.",
    PAID="Amounts allocated to invoices, including amounts refunded since; negative.",
    UNALLOCATED_CREDIT="Payments and credits that are not allocated to an invoice yet; negative.",
    REFUNDED="Refunds; positive.",
    DISPUTED="Money that banks took back because of disputes, less what they returned; positive.",
    WRITTEN_OFF="Amounts of invoices written off by the practice; usually negative.",
    ADJUSTED="Corrections of invoices by the practice; positive or negative.",
)
described(
    Period,
    "The length of a period.",
    DAY="A day.",
    WEEK="An ISO 8601 week, from Monday to Sunday.",
    MONTH="A calendar month.",
    QUARTER="Three months, starting with January, April, July or October.",
    YEAR="A calendar year.",
)
described(
    PermissionReason,
    "The reason why a viewer may not perform an action. If several apply, the first is returned.",
    ONLINE_PAYMENTS_OFF="The practice takes no payments online.",
    NO_RIGHT_TO_PAY="The viewer may see the bills of this client but not pay them.",
    PAYMENT_IN_PROGRESS="A payment of this client is in progress and has to end first.",
    NOTHING_TO_PAY="Nothing is due on any invoice.",
    AMOUNT_TOO_SMALL="The payable amount is less than a card can be charged"
    " (`OnlinePayments.minimum`). It is carried to the next bill, and paid with that.",
)
described(
    InvoiceStatus,
    "The payment status of an invoice. It does not say whether the invoice is past due.",
    UNPAID="Nothing is paid.",
    PARTIALLY_PAID="A part is paid and a part is due.",
    PAID="Nothing is due.",
    VOID="The practice has voided the invoice.",
)
described(
    InvoiceOrderField,
    "A sort key of invoices; ties are sorted by number.",
    ISSUED_ON="The day of issue.",
    DUE_ON="The due date. Invoices without one sort as if it were later than all others.",
    NUMBER="The number, in the order of assignment.",
)
described(
    OrderDirection,
    "A sort direction.",
    ASC="Lowest or earliest first.",
    DESC="Highest or latest first.",
)
described(
    EntryKind,
    "A kind of entry in the account history.",
    name="AccountHistoryKind",
    SESSION="A session, invoiced or not.",
    CHARGE="A line of an invoice that is not a session.",
    PAYMENT="A payment, including one that is pending or failed.",
    REFUND="A refund.",
    CREDIT="A credit given by the practice.",
    ADJUSTMENT="A correction by the practice.",
    WRITE_OFF="A write-off by the practice.",
    DISPUTE="Money that a bank took back because of a dispute, or returned when it was won.",
)
described(
    HistoryStatus,
    "The status of an entry in the account history.",
    name="AccountHistoryStatus",
    UNINVOICED="The session is not invoiced yet.",
    UNPAID="No part of the entry's invoice is paid.",
    PARTIALLY_PAID="A part of the entry's invoice is paid.",
    PAID="The entry's invoice is paid, or the payment succeeded and is not disputed.",
    PENDING="The payment is in progress.",
    FAILED="The payment failed; nothing was charged.",
    REFUNDED="The payment was refunded in full.",
    DISPUTED="The cardholder disputes the payment, or a part of it; the bank holds the amount"
    " until it decides.",
    CHARGED_BACK="The bank has given the disputed amount back to the cardholder.",
)
described(
    CardBrand,
    "The network of a card.",
    VISA="Visa.",
    MASTERCARD="Mastercard.",
    AMEX="American Express.",
    DISCOVER="Discover.",
    DINERS="Diners Club.",
    JCB="JCB.",
    UNIONPAY="UnionPay.",
    OTHER="Any other network.",
)
described(
    ClientOrderField,
    "A sort key of clients; ties are sorted by id.",
    NAME="The name, ignoring case and accents.",
    CREATED="The time at which the client was added to the practice.",
)
described(
    PaymentStatus,
    "The state of a payment.",
    PENDING="The payment is started; its outcome is not known yet.",
    REQUIRES_ACTION="The payment waits until the cardholder confirms it to the bank.",
    PROCESSING="The payment waits for the bank.",
    SUCCEEDED="The money moved.",
    DISPUTED="The cardholder disputes the payment, or a part of it; the bank holds the amount"
    " until it decides.",
    CHARGED_BACK="The bank has given the disputed amount back to the cardholder.",
    FAILED="The payment was declined; nothing was charged.",
    CANCELED="The payment was canceled; nothing was charged.",
)
described(
    PaymentMethodKind,
    "A method of payment.",
    CARD="A card, online.",
    CASH="Cash.",
    CHECK="A check.",
    BANK_TRANSFER="A bank transfer.",
    INSURANCE="A payment by an insurer.",
    CREDIT="Unused credit: nothing was charged.",
    OTHER="Another method.",
)
described(
    DeclineReason,
    "The reason why a card was declined, as far as it may be disclosed.",
    GENERIC="A reason that the bank does not disclose.",
    INSUFFICIENT_FUNDS="The card has insufficient funds.",
    EXPIRED_CARD="The card has expired.",
    INCORRECT_CVC="The security code is incorrect.",
    INCORRECT_ZIP="The postal code doesn't match.",
    AUTHENTICATION_FAILED="The cardholder could not be authenticated.",
)
described(
    PaymentsMode,
    "The destination of card payments.",
    OFF="The practice takes no payments online.",
    SANDBOX="This server's simulation of Stripe: no money moves.",
    TEST="Stripe in test mode: no money moves.",
    LIVE="Stripe in live mode: money moves.",
)
described(
    SuperbillGapCode,
    "A kind of information that an insurer requires on a superbill.",
    PROVIDER_NPI="The provider's NPI.",
    PROVIDER_TAX_ID="The provider's tax id.",
    PROVIDER_ADDRESS="The provider's address.",
    RENDERING_PROVIDER_NPI="The NPI of the provider who held the visits.",
    CLIENT_DATE_OF_BIRTH="The client's date of birth.",
    CLIENT_ADDRESS="The client's address.",
    DIAGNOSIS="A diagnosis.",
    CPT_CODE="The CPT code of a visit.",
    PLACE_OF_SERVICE="The place of service of a visit.",
)
described(
    ErrorCode,
    "A code for each type of refusal: the name of the type.",
    CARD_DECLINED="The bank refused the card.",
    INVALID_INPUT="An argument is wrong.",
    NOT_FOUND="The object does not exist, or the viewer has no access to it.",
    NOT_ALLOWED="The viewer may not perform this action.",
    ONLINE_PAYMENTS_OFF="The practice takes no payments online.",
    CARD_UNUSABLE="The card on file has expired.",
    NOTHING_TO_PAY="Nothing is due.",
    AMOUNT_CHANGED="The payable amount is not the expected amount.",
    AMOUNT_TOO_SMALL="The amount is less than a card can be charged.",
    AMOUNT_TOO_LARGE="The amount is more than a card can be charged at once.",
    PAYMENTS_UNAVAILABLE="Stripe does not currently accept the practice's payments.",
    PAYMENT_IN_PROGRESS="Another payment is in progress.",
    IDEMPOTENCY_KEY_REUSED="The key was already used for another request.",
    CARD_REFUSED="The bank refused to have the card saved.",
    CARD_REMOVAL_OFF="Only the practice can remove cards.",
    REPLACEMENT_NEEDED="Another card has to become the Default Card.",
    TOO_MANY_ATTEMPTS="There were too many declined cards, card forms or wrong codes recently.",
    SIGN_IN_LINK_INVALID="The link is not valid, in this browser or at all.",
    SIGN_IN_CODE_INVALID="The code is not valid, in this page or at all.",
    ALREADY_INVOICED="A session is on another invoice.",
    INVOICE_IS_VOID="The invoice is void.",
    EXCEEDS_AMOUNT_DUE="The amount is more than what is due of the invoice, or billed by it.",
    EXCEEDS_FUNDS="The amount is more than the client's unused credit.",
    EXCEEDS_PAYMENT="The amount is more than the payment, or than what is left of it.",
    PAID_BY_CARD="A card that was charged through Stripe is refunded through Stripe.",
    NUMBER_TAKEN="Another document has the number.",
    CHANGED_AFTER_ENTRY="The key was used for a record with other values.",
)
