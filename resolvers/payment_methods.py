"""Cards on file."""

from sqlalchemy import ColumnElement, Integer, and_, func, select

from models import Client, PaymentMethod, Practice
from models.literals import constant
from models.row import ID
from planner.deferred import bind
from planner.outcome import OutcomeRow
from planner.sources import Rows
from planner.tables import Condition, RowOf
from resolvers.clients import of_visible_client
from resolvers.request_context import from_request
from resolvers.visibility import Visibility

# A card expires soon if it expires within this number of months, including the current one.
SOON_MONTHS = 2


def rows(visible: Visibility, *where: Condition[PaymentMethod]) -> Rows:
    """Return visible cards on file: the default card first, then the newest."""
    table = visible(PaymentMethod)
    conditions = [on_file(table, visible), *(condition(table) for condition in where)]
    order = (table.c.is_default, table.c.added_at, table.c.id)
    return Rows(table, conditions, order, descending=True)


def on_file(card: RowOf[PaymentMethod], visible: Visibility) -> ColumnElement[bool]:
    """Return the condition for stored cards in the practice's current Stripe account.

    If online payments are off, the cards of every account count, so that they can be removed.
    """
    practice = visible(Practice)
    account = (
        select(practice.c.stripe_account).where(visible.predicate_for(practice)).scalar_subquery()
    )
    is_usable = card.c.stripe_account == func.coalesce(account, card.c.stripe_account)
    return and_(card.c.removed_at.is_(None), is_usable)


def of_client(client: RowOf[Client], visible: Visibility) -> Rows:
    return rows(visible, lambda table: of_visible_client(table.c.client_id, client, visible))


def default(client: RowOf[Client], visible: Visibility) -> Rows:
    return rows(
        visible,
        lambda table: of_visible_client(table.c.client_id, client, visible),
        lambda table: table.c.is_default,
    )


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
