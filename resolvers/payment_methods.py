"""Cards on file, as their holders and others see them."""

import enum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Text,
    and_,
    case,
    false,
    func,
    or_,
    select,
    true,
    type_coerce,
)

from models import Client, PaymentMethod, Practice, ViewerKind
from models.literals import constant
from models.row import ID
from planner.deferred import bind
from planner.outcome import OutcomeRow
from planner.sources import Rows
from planner.tables import Condition, RowOf, TableAlias
from resolvers.clients import of_visible_client
from resolvers.request_context import from_request
from resolvers.visibility import Visibility, holder_may_pay, is_held

# A card expires soon if it expires within this number of months, including the current one.
SOON_MONTHS = 2


class Payer(enum.StrEnum):
    """A person who pays for a client, as the viewer knows them."""

    VIEWER = "VIEWER"
    CLIENT = "CLIENT"
    CONTACT = "CONTACT"


def payer(visible: Visibility, table: Any) -> ColumnElement[str]:
    """Return who holds a card or makes a payment, by the table's row."""
    of_client = Payer.VIEWER if visible.kind is ViewerKind.CLIENT else Payer.CLIENT
    found = [(table.c.contact_id.is_(None), constant(of_client))]
    if visible.kind is ViewerKind.CONTACT:
        found.append((is_held(visible, table), constant(Payer.VIEWER)))
    return type_coerce(case(*found, else_=constant(Payer.CONTACT)), Text)


class CardRow:
    """A card on file. Of another person's card the viewer sees no name and no postal code, and it
    is nobody's Default Card but its holder's.
    """

    def __init__(self, table: TableAlias[PaymentMethod], visible: Visibility) -> None:
        self.c, self.table = table.c, table
        is_known = true() if visible.kind.is_program else is_held(visible, table)
        self.holder = payer(visible, table)
        self.is_default: ColumnElement[bool] = and_(is_known, table.c.is_default)
        self.cardholder_name = case((is_known, table.c.cardholder_name))
        self.billing_zip = case((is_known, table.c.billing_zip))


def rows(visible: Visibility, *where: Condition[PaymentMethod]) -> Rows:
    """Return visible cards on file: the viewer's default card first, then the newest."""
    table = visible(PaymentMethod)
    row = CardRow(table, visible)
    conditions = [on_file(table, visible), *(condition(table) for condition in where)]
    order = (row.is_default, table.c.added_at, table.c.id)
    return Rows(table, conditions, order, descending=True, row=row)


def on_file(card: RowOf[PaymentMethod], visible: Visibility) -> ColumnElement[bool]:
    """Return the condition for stored cards in the practice's current Stripe account, whose holder
    may pay for the client.

    If online payments are off, the cards of every account count, so that they can be removed.
    """
    practice = visible(Practice)
    account = (
        select(practice.c.stripe_account).where(visible.predicate_for(practice)).scalar_subquery()
    )
    is_usable = card.c.stripe_account == func.coalesce(account, card.c.stripe_account)
    return and_(card.c.removed_at.is_(None), is_usable, holder_may_pay(visible, card))


def of_client(client: RowOf[Client], visible: Visibility) -> Rows:
    return rows(visible, lambda table: of_visible_client(table.c.client_id, client, visible))


def default(client: RowOf[Client], visible: Visibility) -> Rows:
    """Return the viewer's Default Card for a client; for a program, the client's own."""

    def is_chosen(table: TableAlias[PaymentMethod]) -> ColumnElement[bool]:
        is_program = visible.kind.is_program
        is_own = table.c.contact_id.is_(None) if is_program else is_held(visible, table)
        return and_(table.c.is_default, is_own)

    return rows(
        visible, lambda table: of_visible_client(table.c.client_id, client, visible), is_chosen
    )


def to_pay_with(client: RowOf[Client], visible: Visibility) -> Rows:
    """Return the cards that the viewer may pay for a client with."""
    return rows(visible, lambda table: may_be_charged(visible, table, client.c.id))


def may_be_charged(
    visible: Visibility, card: RowOf[PaymentMethod], client_id: Any
) -> ColumnElement[bool]:
    """Return whether the viewer may pay for a client with a visible card: one for the client, or
    the viewer's own for another client. A program pays nothing.
    """
    if visible.kind.is_program:
        return false()
    return or_(card.c.client_id == client_id, is_held(visible, card))


def of_outcome(outcome: OutcomeRow, visible: Visibility) -> Rows:
    """Return the card that a mutation was about."""
    return rows(visible, lambda table: table.c.id == outcome.value("card_id", ID))


def is_expired(card: RowOf[PaymentMethod]) -> ColumnElement[bool]:
    """Return whether the last month of the card is over."""
    return months_left(card) < constant(0)


def expires_soon(card: RowOf[PaymentMethod]) -> ColumnElement[bool]:
    left = months_left(card)
    return and_(left >= constant(0), left < constant(SOON_MONTHS))


def months_left(card: RowOf[PaymentMethod]) -> ColumnElement[int]:
    """Return the number of months from the current one to the last in which the card is valid."""
    this_month = from_request(lambda request: request.today.year * 12 + request.today.month)
    last = card.c.exp_year * constant(12) + card.c.exp_month
    return last - bind(this_month, Integer())
