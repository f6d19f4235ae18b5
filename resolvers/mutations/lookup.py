"""Look-ups for mutations, with the same visibility predicates as planned reads."""

from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Row, and_, false, select
from sqlalchemy.sql import visitors

from billing.errors import NotAllowedError, NotFoundError
from billing.money import currency_digits
from models import Client, Invoice, Payment, PaymentMethod, Practice
from planner.deferred import evaluate
from resolvers.clients import ClientRow
from resolvers.mutations.result import MutationContext
from resolvers.online_payments import reached_account
from resolvers.payment_methods import may_be_charged, on_file
from resolvers.request_context import RequestContext
from resolvers.visibility import AnySelect, Visibility, is_held


def visibility_of(mutation: MutationContext) -> Visibility:
    viewer = mutation.viewer
    return Visibility(viewer.kind, digits=currency_digits(viewer.currency), lateral=False)


async def first_row(
    mutation: MutationContext, visible: Visibility, statement: AnySelect
) -> Row[Any] | None:
    """Return the statement's first row, with the viewer's values filled in."""
    visible.check(statement)
    context = RequestContext(mutation.viewer, mutation.now, {}, mutation.online)

    def known(parameter: BindParameter[Any]) -> None:
        parameter.value = evaluate(parameter.value, context)

    filled = visitors.cloned_traverse(statement, {}, {"bindparam": known})
    async with mutation.payment_context.engine.connect() as conn:
        row: Row[Any] | None = (await conn.execute(filled)).first()
    return row


async def paying_client(
    mutation: MutationContext, client_id: str | None, invoice_id: str | None
) -> Row[Any]:
    """Return the client to pay for, the right to pay, and the practice's Stripe account.

    Raise NotFound if the client or invoice is not visible, and NotAllowed if the viewer may not
    pay.
    """
    visible = visibility_of(mutation)
    client, practice = visible(Client), visible(Practice)
    row = ClientRow(client, visible)
    account = reached_account(practice).label("stripe_account")
    statement = (
        select(client.c.id, row.may_pay.label("may_act"), account)
        .join_from(client, practice, practice.c.id == client.c.practice_id)
        .where(visible.predicate_for(client), visible.predicate_for(practice))
    )
    if client_id is not None:
        statement = statement.where(client.c.id == client_id)
    if invoice_id is not None:
        invoice = visible(Invoice)
        same = and_(
            invoice.c.practice_id == client.c.practice_id, invoice.c.client_id == client.c.id
        )
        statement = statement.join(invoice, same).where(
            visible.predicate_for(invoice), invoice.c.id == invoice_id
        )
    path = ("input", "invoiceId" if invoice_id is not None else "clientId")
    return await manageable_row(
        mutation,
        visible,
        statement,
        NotFoundError("There is no such object, or you have no access to it.", path),
        NotAllowedError("You may not pay for this client."),
    )


async def card_on_file(mutation: MutationContext, client_id: str, card_id: str) -> Row[Any] | None:
    """Return a card that the viewer may pay with for the client, or None: one that is on file for
    the client, or one of the viewer's own for another client.
    """
    visible = visibility_of(mutation)
    table = visible(PaymentMethod)
    usable = may_be_charged(visible, table, client_id)
    condition = and_(usable, table.c.id == card_id, on_file(table, visible))
    return await first_row(
        mutation, visible, select(table).where(visible.predicate_for(table), condition)
    )


def is_own(visible: Visibility, table: Any) -> ColumnElement[bool]:
    """Return whether a card or a payment is the viewer's. A program has none."""
    return false() if visible.kind.is_program else is_held(visible, table)


async def manageable_card(mutation: MutationContext, card_id: str) -> Row[Any]:
    """Return a card on file, its owner, and whether clients may remove cards.

    Raise NotFound if the card is not visible, and NotAllowed if the viewer is not its holder.
    """
    visible = visibility_of(mutation)
    card, client, practice = visible(PaymentMethod), visible(Client), visible(Practice)
    row = ClientRow(client, visible)
    same = and_(client.c.practice_id == card.c.practice_id, client.c.id == card.c.client_id)
    statement = (
        select(
            card.c.id,
            card.c.practice_id,
            card.c.client_id,
            card.c.contact_id,
            card.c.stripe_account,
            and_(row.may_pay, is_own(visible, card)).label("may_act"),
            practice.c.clients_remove_cards,
        )
        .join_from(card, client, same)
        .join(practice, practice.c.id == card.c.practice_id)
        .where(
            visible.predicate_for(card),
            visible.predicate_for(client),
            visible.predicate_for(practice),
        )
        .where(card.c.id == card_id, on_file(card, visible))
    )
    return await manageable_row(
        mutation,
        visible,
        statement,
        NotFoundError(
            "There is no such card, or you have no access to it.", ("input", "paymentMethodId")
        ),
        NotAllowedError("Only its holder may change a card."),
    )


async def manageable_payment(mutation: MutationContext, payment_id: str) -> str:
    """Return the id of a payment of the viewer, to continue or cancel it.

    Raise NotFound or NotAllowed otherwise: what Stripe says of a payment is for its payer alone.
    """
    visible = visibility_of(mutation)
    table, client = visible(Payment), visible(Client)
    row = ClientRow(client, visible)
    same = and_(client.c.practice_id == table.c.practice_id, client.c.id == table.c.client_id)
    statement = (
        select(table.c.id, and_(row.may_pay, is_own(visible, table)).label("may_act"))
        .join_from(table, client, same)
        .where(
            visible.predicate_for(table), visible.predicate_for(client), table.c.id == payment_id
        )
    )
    payment = await manageable_row(
        mutation,
        visible,
        statement,
        NotFoundError(
            "There is no such payment, or you have no access to it.", ("input", "paymentId")
        ),
        NotAllowedError("Only the person who pays may continue or cancel a payment."),
    )
    return str(payment.id)


async def manageable_row(
    mutation: MutationContext,
    visible: Visibility,
    statement: AnySelect,
    missing: NotFoundError,
    refusal: NotAllowedError,
) -> Row[Any]:
    """Return the statement's row. Raise `missing` without one, and `refusal` if the viewer may not
    act on it.
    """
    row = await first_row(mutation, visible, statement)
    if row is None:
        raise missing
    if not row.may_act:
        raise refusal
    return row
