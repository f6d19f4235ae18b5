"""Look-ups for mutations, with the same visibility predicates as planned reads."""

from typing import Any

from sqlalchemy import BindParameter, Row, Select, and_, select
from sqlalchemy.sql import visitors

from billing.errors import NotAllowed, NotFound
from billing.money import digits
from models import Client, Invoice, Payment, PaymentMethod, Practice
from planner.deferred import RequestContext, evaluate
from resolvers.clients import ClientRow
from resolvers.mutations.result import Acting
from resolvers.online_payments import reached_account
from resolvers.payment_methods import on_file
from resolvers.visibility import Sight


def eyes(acting: Acting) -> Sight:
    viewer = acting.viewer
    return Sight(viewer.kind, digits=digits(viewer.currency), lateral=False)


async def found(acting: Acting, sight: Sight, statement: Select[Any]) -> Row[Any] | None:
    """Return the statement's first row, with the viewer's values filled in."""
    sight.check()
    context = RequestContext(acting.viewer, acting.now, {}, acting.payments)

    def known(parameter: BindParameter[Any]) -> None:
        parameter.value = evaluate(parameter.value, context)

    filled = visitors.cloned_traverse(statement, {}, {"bindparam": known})
    async with acting.till.engine.connect() as conn:
        row: Row[Any] | None = (await conn.execute(filled)).first()
    return row


async def payer(acting: Acting, client_id: str | None, invoice_id: str | None) -> Row[Any]:
    """Return the client to pay for, the right to pay, and the practice's Stripe account.

    Raise NotFound if the client or invoice is not visible, and NotAllowed if the viewer may not
    pay.
    """
    sight = eyes(acting)
    client, practice = sight(Client), sight(Practice)
    row = ClientRow(client, sight)
    account = reached_account(practice).label("stripe_account")
    statement = (
        select(client.c.id, row.may_pay.label("may_pay"), account)
        .join_from(client, practice, practice.c.id == client.c.practice_id)
        .where(sight.only(client), sight.only(practice))
    )
    if client_id is not None:
        statement = statement.where(client.c.id == client_id)
    if invoice_id is not None:
        invoice = sight(Invoice)
        same = and_(
            invoice.c.practice_id == client.c.practice_id, invoice.c.client_id == client.c.id
        )
        statement = statement.join(invoice, same).where(
            sight.only(invoice), invoice.c.id == invoice_id
        )
    owner = await found(acting, sight, statement)
    if owner is None:
        path = ("input", "invoiceId" if invoice_id is not None else "clientId")
        raise NotFound("There is no such object, or you have no access to it.", path)
    if not owner.may_pay:
        raise NotAllowed("You may not pay for this client.")
    return owner


async def card(acting: Acting, client_id: str, card_id: str) -> Row[Any] | None:
    """Return the client's card on file, or None."""
    sight = eyes(acting)
    table: Any = sight(PaymentMethod)
    mine = and_(table.c.client_id == client_id, table.c.id == card_id, on_file(table, sight))
    return await found(acting, sight, select(*table.c).where(sight.only(table), mine))


async def held_card(acting: Acting, card_id: str) -> Row[Any]:
    """Return a card on file, its client, and whether clients may remove cards.

    Raise NotFound if the card is not visible, and NotAllowed if the viewer may not change it.
    """
    sight = eyes(acting)
    card, client, practice = sight(PaymentMethod), sight(Client), sight(Practice)
    row = ClientRow(client, sight)
    same = and_(client.c.practice_id == card.c.practice_id, client.c.id == card.c.client_id)
    statement = (
        select(
            card.c.id,
            card.c.client_id,
            card.c.stripe_account,
            row.may_pay.label("may_pay"),
            practice.c.clients_remove_cards,
        )
        .join_from(card, client, same)
        .join(practice, practice.c.id == card.c.practice_id)
        .where(sight.only(card), sight.only(client), sight.only(practice))
        .where(card.c.id == card_id, on_file(card, sight))
    )
    seen = await found(acting, sight, statement)
    if seen is None:
        raise NotFound(
            "There is no such card, or you have no access to it.", ("input", "paymentMethodId")
        )
    if not seen.may_pay:
        raise NotAllowed("You may not change this client's cards.")
    return seen


async def payment(acting: Acting, payment_id: str) -> str:
    """Return the id of a payment that the viewer may continue or cancel.

    Raise NotFound or NotAllowed otherwise.
    """
    sight = eyes(acting)
    table, client = sight(Payment), sight(Client)
    row = ClientRow(client, sight)
    same = and_(client.c.practice_id == table.c.practice_id, client.c.id == table.c.client_id)
    statement = (
        select(table.c.id, row.may_pay.label("may_pay"))
        .join_from(table, client, same)
        .where(sight.only(table), sight.only(client), table.c.id == payment_id)
    )
    seen = await found(acting, sight, statement)
    if seen is None:
        raise NotFound(
            "There is no such payment, or you have no access to it.", ("input", "paymentId")
        )
    if not seen.may_pay:
        raise NotAllowed("You may not pay for this client.")
    return str(seen.id)
