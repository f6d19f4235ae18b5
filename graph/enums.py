"""The enums of the contract: plain ones from below, with their descriptions."""

import enum
from typing import Any

import strawberry

from billing.accounts import BalanceTermKind, PermissionReason
from billing.history import HistoryStatus
from billing.invoices import InvoiceStatus
from billing.payments import PaymentsMode, PaymentStatus
from billing.periods import Period
from billing.refusals import ErrorCode
from billing.superbills import SuperbillGapCode
from models import (
    AccessAction,
    ActorKind,
    CardBrand,
    DeclineReason,
    EntryKind,
    PaymentMethodKind,
    Scope,
    ViewerKind,
)
from resolvers.clients import ClientOrderField
from resolvers.invoices import InvoiceOrderField
from resolvers.orders import OrderDirection


def described(
    members: type[enum.Enum], description: str, name: str | None = None, **values: str
) -> None:
    """Makes an enum part of the language; each of its values has to be described."""
    strawberry.enum(members, name=name, description=description)
    definition: Any = members.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values.pop(value.name)
    assert not values, values


described(
    ViewerKind,
    "What kind of viewer a token is of.",
    CLIENT="A client, who sees their own billing.",
    CONTACT="A parent, guardian or partner, who sees the clients that they are linked to.",
    DASHBOARD="A program of the practice, which reads the whole practice within its scopes.",
)
described(
    ActorKind,
    "Who accesses a client's data.",
    CLIENT="A client.",
    CONTACT="A parent, guardian or partner of a client.",
    DASHBOARD="A program of the practice.",
    OPERATOR="The practice's operator, at the command line.",
)
described(
    AccessAction,
    "What was done with a client's data.",
    READ="It was read.",
    CHANGE="It was changed: a payment, a card, a refund, a contact's rights, a token.",
    SIGN_IN="Somebody who sees it signed in.",
    SIGN_OUT="Somebody who sees it signed out, or a sign-in of theirs was ended.",
    REFUSED="It was asked for and not given, because the token lacks a scope.",
)
described(
    Scope,
    "What a token may read.",
    BILLING_READ="Single clients and their bills: balances, invoices, payments, cards"
    " (`billing:read`).",
    DOCUMENTS_READ="Documents to print and download, of which all is health information, so that"
    " they need `phi:read` too (`documents:read`).",
    PHI_READ="Health information: names, sessions, diagnoses (`phi:read`).",
    AGGREGATES_READ="Sums over the whole practice: `revenue` and `aging` (`aggregates:read`).",
)
described(
    BalanceTermKind,
    "What a part of the balance is. The parts are signed and add up to the balance.",
    INVOICED="Plus: all lines of invoices, less those of void ones.",
    PAID="Minus: what was put toward invoices, refunded since or not.",
    UNALLOCATED_CREDIT="Minus: payments and credits that are put toward no invoice yet.",
    REFUNDED="Plus: what was given back.",
    WRITTEN_OFF="What the practice has given up of invoices; usually minus.",
    ADJUSTED="What the practice has corrected of invoices; plus or minus.",
)
described(
    Period,
    "How long a period is.",
    DAY="A day.",
    WEEK="A week of ISO 8601, from Monday to Sunday.",
    MONTH="A month of the calendar.",
    QUARTER="Three months: from January, April, July or October on.",
    YEAR="A year of the calendar.",
)
described(
    PermissionReason,
    "Why a viewer can't do a thing. The first that applies is given.",
    ONLINE_PAYMENTS_OFF="The practice takes no payments online.",
    NO_RIGHT_TO_PAY="The viewer may see this client's bills but not pay them.",
    PAYMENT_IN_PROGRESS="A payment of this client is under way; see how it ends first.",
    NOTHING_TO_PAY="No invoice has anything due.",
    AMOUNT_TOO_SMALL="What is payable is less than a card can be charged.",
)
described(
    InvoiceStatus,
    "How far an invoice is paid. Whether it is past due is a separate truth.",
    UNPAID="Nothing is paid.",
    PARTIALLY_PAID="Something is paid and something is due.",
    PAID="Nothing is due.",
    VOID="The practice has taken the invoice back.",
)
described(
    InvoiceOrderField,
    "What invoices are ordered by; ties by number.",
    ISSUED_ON="The day of issue.",
    DUE_ON="The day it is due; those without one as if it were the last.",
    NUMBER="The number, in the order in which they were given out.",
)
described(
    OrderDirection,
    "Which end of an order comes first.",
    ASC="The lowest, the earliest.",
    DESC="The highest, the latest.",
)
described(
    EntryKind,
    "What an entry of the account history is.",
    name="AccountHistoryKind",
    SESSION="A session, invoiced or not yet.",
    CHARGE="Another line of an invoice.",
    PAYMENT="A payment, also one that is pending or failed.",
    REFUND="Money given back.",
    CREDIT="A credit given by the practice.",
    ADJUSTMENT="A correction by the practice.",
    WRITE_OFF="What the practice has given up.",
)
described(
    HistoryStatus,
    "The status beside an entry of the account history.",
    name="AccountHistoryStatus",
    UNINVOICED="A session that is on no invoice yet.",
    UNPAID="Nothing of its invoice is paid.",
    PARTIALLY_PAID="A part of its invoice is paid.",
    PAID="Its invoice is paid; or the payment succeeded.",
    PENDING="The payment is under way.",
    FAILED="The payment failed; nothing was charged.",
    REFUNDED="The payment was given back in full.",
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
    "What clients are ordered by; ties by id.",
    NAME="The name, case and accents folded.",
    CREATED="When the practice took them on.",
)
described(
    PaymentStatus,
    "How a payment stands.",
    PENDING="Begun; nothing is known of it yet.",
    REQUIRES_ACTION="It waits for the cardholder, who has to confirm it to the bank.",
    PROCESSING="It waits for the bank.",
    SUCCEEDED="The money moved.",
    FAILED="It was declined; nothing was charged.",
    CANCELED="It was given up; nothing was charged.",
)
described(
    PaymentMethodKind,
    "How a payment was made.",
    CARD="By card, online.",
    CASH="In cash.",
    CHECK="By check.",
    BANK_TRANSFER="By a bank transfer.",
    CREDIT="Out of unused credit: nothing was charged.",
    OTHER="In another way.",
)
described(
    DeclineReason,
    "Why a card was declined, as far as it may be told.",
    GENERIC="For a reason that the bank doesn't tell.",
    INSUFFICIENT_FUNDS="The card has insufficient funds.",
    EXPIRED_CARD="The card has expired.",
    INCORRECT_CVC="The security code is incorrect.",
    INCORRECT_ZIP="The postal code doesn't match.",
    AUTHENTICATION_FAILED="The cardholder wasn't confirmed.",
)
described(
    PaymentsMode,
    "Where card payments go.",
    OFF="Nowhere: the practice takes none online.",
    SANDBOX="To this server's own stand-in for Stripe: no money moves.",
    TEST="To Stripe in test mode: no money moves.",
    LIVE="To Stripe: money moves.",
)
described(
    SuperbillGapCode,
    "What an insurer would miss on a superbill.",
    PROVIDER_NPI="The provider's NPI.",
    PROVIDER_TAX_ID="The provider's tax id.",
    PROVIDER_ADDRESS="The provider's address.",
    CLIENT_DATE_OF_BIRTH="The client's date of birth.",
    CLIENT_ADDRESS="The client's address.",
    DIAGNOSIS="A diagnosis.",
    CPT_CODE="The CPT code of a visit.",
    PLACE_OF_SERVICE="The place of service of a visit.",
)
described(
    ErrorCode,
    "What a refusal is, for a program: its type's name.",
    CARD_DECLINED="The bank refused the card.",
    INVALID_INPUT="An argument is wrong.",
    NOT_FOUND="There is no such thing in sight.",
    NOT_ALLOWED="The viewer may not do that.",
    ONLINE_PAYMENTS_OFF="The practice takes no payments online.",
    CARD_UNUSABLE="The card on file has expired.",
    NOTHING_TO_PAY="Nothing is due.",
    AMOUNT_CHANGED="What is payable isn't what was expected.",
    AMOUNT_TOO_SMALL="The amount is less than a card can be charged.",
    AMOUNT_TOO_LARGE="The amount is more than a card can be charged at once.",
    PAYMENTS_UNAVAILABLE="Stripe does not take the practice's payments at the moment.",
    PAYMENT_IN_PROGRESS="Another payment is under way.",
    IDEMPOTENCY_KEY_REUSED="The key belongs to another request.",
    CARD_REFUSED="The bank refused the card that was to be kept.",
    CARD_REMOVAL_OFF="Only the practice removes cards.",
    REPLACEMENT_NEEDED="Another card has to become the default.",
    TOO_MANY_ATTEMPTS="Too many cards were declined of late, or codes were wrong.",
    SIGN_IN_LINK_INVALID="The link doesn't sign in, here or at all.",
    SIGN_IN_CODE_INVALID="The code doesn't sign in, here or at all.",
)
