"""Leaks planted one at a time in the mutations of signed-in viewers: the matrix reports each."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import literal, null, select, true

from billing.audit_log import record
from billing.errors import NotFoundError
from execution import authentication
from identity import tokens
from identity.sign_in import sign_out, switch
from models import Client, Contact, PaymentMethod, Token
from resolvers.clients import ClientRow
from resolvers.ids import bare
from resolvers.mutations import cards, lookup, payments, result
from tests.security.isolation import doors
from tests.security.isolation.entrances import Inside, signed_in
from tests.security.isolation.trying import changes_of_everybody

# These tests are about the probes, so one database is enough.
pytestmark = [
    pytest.mark.campaign,
    pytest.mark.rest,
    pytest.mark.parametrize("new_database", ["sqlite"], indirect=True, scope="session"),
]
Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(scope="module")
async def inside(
    new_database: Callable[[], AbstractAsyncContextManager[str]],
) -> AsyncIterator[Inside]:
    async with new_database() as url, signed_in(url) as it:
        yield it


async def fetched(acting: Any, statement: Any) -> Any:
    async with acting.payment_context.engine.connect() as rows:
        return (await rows.execute(statement)).first()


def a_payment_is_found_by_its_id_alone(patch: pytest.MonkeyPatch) -> None:
    async def wrong(_: Any, payment_id: str) -> str:
        return payment_id

    patch.setattr(lookup, "manageable_payment", wrong)


def anybodys_sign_in_is_ended(patch: pytest.MonkeyPatch) -> None:
    async def wrong(door: Any, by: Any, _: Any, token_id: str, now: Any) -> None:
        if not await sign_out.end_sign_ins(door, Token.id == token_id, now=now, by=by):
            raise NotFoundError("There is no such sign-in.", ("input", "id"))

    patch.setattr(sign_out, "end_own_sign_in", wrong)


def a_sign_in_is_switched_to_anybody(patch: pytest.MonkeyPatch) -> None:
    async def wrong(conn: Any, _: str, practice_id: str | None = None) -> Any:
        found = []
        for model, of_kind in ((Client, "client_id"), (Contact, "contact_id")):
            subject = {"client_id": null(), "contact_id": null()} | {of_kind: model.id}
            columns = (column.label(name) for name, column in subject.items())
            condition = model.__table__.c.practice_id == practice_id
            found += await conn.execute(select(model.id, *columns).where(condition))
        return found

    patch.setattr(switch, "people", wrong)


def anybodys_card_becomes_the_default(patch: pytest.MonkeyPatch) -> None:
    async def wrong(acting: Any, card_id: str) -> Any:
        columns = PaymentMethod.__table__.c
        mine = columns.practice_id == acting.viewer.practice_id, columns.id == card_id
        kept = columns.removed_at.is_(None)
        statement = select(*columns, literal(True).label("clients_remove_cards"))
        found = await fetched(acting, statement.where(*mine, kept))
        if found is None:
            raise NotFoundError("There is no such card, or you have no access to it.", cards.CARD)
        return found

    patch.setattr(lookup, "manageable_card", wrong)


def a_shared_card_or_a_payment_is_anybodys_to_change(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lookup, "is_own", lambda *_: true())


def a_contact_who_only_sees_pays(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClientRow, "may_pay", property(lambda _: true()))


def a_contact_pays_by_another_clients_card(patch: pytest.MonkeyPatch) -> None:
    async def wrong(acting: Any, _: str, card_id: str) -> Any:
        table = PaymentMethod.__table__
        here = table.c.practice_id == acting.viewer.practice_id
        return await fetched(acting, select(table).where(here, table.c.id == card_id))

    patch.setattr(lookup, "card_on_file", wrong)


def a_card_is_begun_for_any_client(patch: pytest.MonkeyPatch) -> None:
    right = lookup.paying_client

    async def wrong(acting: Any, client_id: str | None, invoice_id: str | None) -> Any:
        try:
            return await right(acting, client_id, invoice_id)
        except NotFoundError:
            columns = (Client.id, literal("acct_sandbox_USD").label("stripe_account"))
            here = Client.practice_id == acting.viewer.practice_id, Client.id == client_id
            if found := await fetched(acting, select(*columns).where(*here)):
                return found
            raise

    patch.setattr(lookup, "paying_client", wrong)


def what_is_refused_is_recorded_as_done(patch: pytest.MonkeyPatch) -> None:
    right = lookup.manageable_payment

    async def wrong(acting: Any, payment_id: str) -> str:
        other = await fetched(acting, select(Client.id).where(here(acting)).order_by(Client.id))
        async with acting.payment_context.engine.begin() as rows:
            await record(rows, acting.payment_context.actor, other.id, acting.now)
        return await right(acting, payment_id)

    def here(acting: Any) -> Any:
        mine = acting.viewer.subject_id
        return (Client.practice_id == acting.viewer.practice_id) & (Client.id != mine)

    patch.setattr(lookup, "manageable_payment", wrong)


def what_is_out_of_sight_is_said_to_be_forbidden(patch: pytest.MonkeyPatch) -> None:
    def wrong(refusal: Any) -> Any:
        found = right(refusal)
        is_hidden = isinstance(refusal, NotFoundError)
        return result.Outcome("NotAllowed", found.values) if is_hidden else found

    right = result.error_outcome
    patch.setattr(result, "error_outcome", wrong)


def an_id_of_another_kind_is_taken(patch: pytest.MonkeyPatch) -> None:
    for module in (cards, payments):
        patch.setattr(module, "read_id", lambda id_, *_: bare(id_))


FAULTS: dict[Plant, str] = {
    a_payment_is_found_by_its_id_alone: "Ana Prieto",
    anybodys_sign_in_is_ended: "contact of nobody",
    a_sign_in_is_switched_to_anybody: "guardian of one",
    anybodys_card_becomes_the_default: "contact who pays",
    a_shared_card_or_a_payment_is_anybodys_to_change: "guardian of one",
    a_contact_who_only_sees_pays: "contact who sees",
    a_contact_pays_by_another_clients_card: "guardian of one",
    a_card_is_begun_for_any_client: "Ben Prieto",
    what_is_refused_is_recorded_as_done: "Ana Prieto",
    what_is_out_of_sight_is_said_to_be_forbidden: "contact of nobody",
    an_id_of_another_kind_is_taken: "guardian of several",
}


@pytest.mark.parametrize("plant", FAULTS)
async def test_planted_leak_is_reported(inside: Inside, plant: Plant) -> None:
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        faults = await told(inside, FAULTS[plant])
    await inside.rows.put_back(await inside.rows.differences())
    print(*faults[:1])
    assert faults


async def test_without_a_leak_nothing_is_reported(inside: Inside) -> None:
    """Leaks planted before left no rows behind."""
    assert await told(inside, "contact who pays") == []


async def told(inside: Inside, sort: str) -> list[str]:
    inside.matrix.report.faults.clear()
    (bearer,) = (one for one in inside.households.of(sort) if one.practice == "USD")
    await changes_of_everybody(inside, bearer)
    return [*inside.matrix.report.faults]


async def test_sign_in_that_outlives_its_end_is_reported(inside: Inside) -> None:
    right, report = tokens.is_valid_token, inside.matrix.report

    def wrong(token: Any, *given: Any) -> Any:
        return right(token, *given) | token.c.revoked_at.is_not(None)

    report.faults.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(authentication, "is_valid_token", wrong)
        async with doors.server(inside.matrix) as client:
            await doors.shut_doors(inside.matrix, client, inside.households.of("Ana Prieto")[0])
    assert report.faults
