"""Whether and how a practice takes payments online."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, case, literal_column

from billing.gateway.currencies import smallest_charge
from billing.payments import CONSENT_TEXT, OWN, SANDBOX_KEY, PaymentsMode
from models.literals import constant
from resolvers.money import Amount
from resolvers.planner.later import Later, bound


class OnlineRow:
    """What a practice's row and the server's settings say of payments online."""

    def __init__(self, practice: Any) -> None:
        self.is_enabled: ColumnElement[bool] = practice.c.stripe_account.is_not(None)
        mode = bound(Later(lambda asked: asked.payments.mode), Text())
        self.mode = case((self.is_enabled, mode), else_=constant(PaymentsMode.OFF))
        key = bound(Later(lambda asked: asked.payments.publishable_key), Text())
        self.publishable_key = case((self.is_enabled, key))
        stripe_js = bound(Later(lambda asked: asked.payments.stripe_js), Text())
        self.stripe_js = case((self.is_enabled, stripe_js))
        # The key's own account needs no name.
        named = practice.c.stripe_account != literal_column(f"'{OWN}'", Text)
        self.stripe_account = case((named, practice.c.stripe_account))
        self.can_remove_cards = practice.c.clients_remove_cards
        self.consent_text = bound(CONSENT_TEXT, Text())
        smallest = Later(lambda asked: smallest_charge(asked.viewer.currency))
        self.minimum = Amount(bound(smallest, BigInteger()))


def page_key(_: Any) -> ColumnElement[str]:
    """What a page starts Stripe.js with; the sandbox's form has a key as well."""
    return bound(Later(lambda asked: asked.payments.publishable_key or SANDBOX_KEY), Text())
