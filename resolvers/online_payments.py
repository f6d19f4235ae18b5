"""The practice's settings for online payments."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Integer,
    Text,
    and_,
    case,
    func,
    literal_column,
)

from billing.payments.status import (
    CONSENT_TEXT,
    OWN,
    SANDBOX_ACCOUNT,
    SANDBOX_KEY,
    PaymentsMode,
    Wallet,
)
from billing.stripe.currencies import SUPPORTED, decimals, smallest_charge
from models import Practice
from models.literals import constant
from planner.deferred import bind
from planner.tables import RowOf
from resolvers.money import Amount
from resolvers.request_context import from_request


class OnlineRow:
    """The settings for online payments, from the practice's row and the server's settings."""

    def __init__(self, practice: RowOf[Practice]) -> None:
        account = reached_account(practice)
        self.is_enabled: ColumnElement[bool] = account.is_not(None)
        mode = bind(from_request(lambda request: request.online.mode), Text())
        self.mode = case((self.is_enabled, mode), else_=constant(PaymentsMode.OFF))
        key = bind(from_request(lambda request: request.online.publishable_key), Text())
        self.publishable_key = case((self.is_enabled, key))
        stripe_js = bind(from_request(lambda request: request.online.stripe_js), Text())
        self.stripe_js = case((self.is_enabled, stripe_js))
        stripe_decimals = from_request(lambda request: decimals(request.viewer.currency))
        self.stripe_decimals = bind(stripe_decimals, Integer())
        # The key's own account does not have to be named.
        self.stripe_account = case((account != literal_column(f"'{OWN}'", Text), account))
        self.can_remove_cards = practice.c.clients_remove_cards
        self.consent_text = bind(CONSENT_TEXT, Text())
        smallest = from_request(lambda request: smallest_charge(request.viewer.currency))
        self.minimum = Amount(bind(smallest, BigInteger()))


class WalletsRow:
    """The wallets that the card form may offer."""

    def __init__(self, _: OnlineRow) -> None:
        self.apple_pay, self.google_pay, self.link = map(offers, Wallet)


def offers(wallet: Wallet) -> ColumnElement[bool]:
    """Return whether the server's settings choose a wallet."""
    return bind(from_request(lambda request: wallet in request.online.wallets), Boolean())


def reached_account(practice: RowOf[Practice]) -> ColumnElement[str]:
    """Return the practice's Stripe account, or null if this server may not charge in it.

    The sandbox only charges in sandbox accounts, and a server with a Stripe key never does. A
    practice with an account of the other kind takes no payments online. The same holds for a
    currency that Stripe does not charge.
    """
    account = practice.c.stripe_account
    begins = func.substr(account, 1, literal_column(str(len(SANDBOX_ACCOUNT))))
    is_sandbox_account = begins == literal_column(f"'{SANDBOX_ACCOUNT}'", Text)
    is_sandbox = bind(
        from_request(lambda request: request.online.mode is PaymentsMode.SANDBOX), Boolean()
    )
    is_charged = bind(from_request(lambda request: request.viewer.currency in SUPPORTED), Boolean())
    return case((and_(is_sandbox_account == is_sandbox, is_charged), account))


def page_key(_: object) -> ColumnElement[str]:
    """Return the key to initialize Stripe.js with. The sandbox's form has a key as well."""
    return bind(from_request(lambda request: request.online.publishable_key or SANDBOX_KEY), Text())
