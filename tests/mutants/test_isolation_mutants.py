"""Leaks planted one at a time: the isolation matrix reports each."""

import datetime as dt
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest
from graphql import GraphQLString
from sqlalchemy import ColumnElement, and_, or_, select, true

from billing.documents import facts, printer
from execution import scopes
from execution.authentication import Authenticator
from graph import types
from models import (
    Allocation,
    Client,
    ContactRight,
    Invoice,
    LedgerEntry,
    Payment,
    PaymentMethod,
    Receipt,
    Scope,
    Session,
    Statement,
    Superbill,
    ViewerKind,
)
from models.row import ID
from planner.deferred import FieldError, bind, map_deferred
from planner.pagination import Page
from planner.sources import PageFact
from resolvers import (
    aging,
    clients,
    document_files,
    field_facts,
    ids,
    invoices,
    payment_methods,
    visibility,
)
from resolvers.field_facts import NO_SCOPE, REQUIRED
from tests.security.isolation import doors, papers
from tests.security.isolation.households import founded
from tests.security.isolation.ids import NOWHERE, what_is_no_id
from tests.security.isolation.matrix import Matrix, over
from tests.security.test_isolation import PROBES

# These tests are about the matrix, so one database is enough.
pytestmark = [
    pytest.mark.campaign,
    pytest.mark.rest,
    pytest.mark.parametrize("new_database", ["sqlite"], indirect=True, scope="session"),
]

# One viewer of each kind; more would only find the same leaks.
ASKERS = (
    "Ana Prieto",
    "guardian of several",
    "contact who sees",
    "contact who pays",
    "dashboard of everything",
    "dashboard of money",
    "dashboard of sums",
)
ALL = PROBES | {"what is no id": what_is_no_id}
SEEN: dict[Any, Any] = visibility.VISIBLE
COUNTED: dict[Any, Any] = visibility.IN_TOTALS
Plant = Callable[[pytest.MonkeyPatch], None]
# Each leak with the probe that has to report it.
FAULTS: dict[str, tuple[Plant, str]] = {}


def fault(probe: str) -> Callable[[Plant], Plant]:
    def kept(plant: Plant) -> Plant:
        FAULTS[plant.__name__.replace("_", " ")] = plant, probe
        return plant

    return kept


@pytest.fixture(scope="module")
async def matrix(
    new_database: Callable[[], AbstractAsyncContextManager[str]],
) -> AsyncIterator[Matrix]:
    async with new_database() as url, over(url, founded()) as made:
        yield made


# -- owners ----------------------------------------------------------------------------------------


@fault("ids of everybody")
def a_client_sees_the_practices_clients(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, Client, visibility.in_practice)


@fault("ids of everybody")
def a_client_sees_everybodys_cards(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, PaymentMethod, visibility.in_practice)


@fault("links of all")
def a_client_sees_everybodys_sessions(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, Session, visibility.in_practice)


@fault("links of links")
def a_contact_has_everybodys_rights(patch: pytest.MonkeyPatch) -> None:
    def wrong(eyes: Any, _: visibility.Right) -> Any:
        right = ContactRight.__table__.alias()
        return select(right.c.client_id).where(right.c.practice_id == eyes.practice_id)

    patch.setattr(visibility, "clients_of_contact", wrong)


@fault("ids of everybody")
def ended_rights_count(patch: pytest.MonkeyPatch) -> None:
    def wrong(eyes: Any, right: Any) -> ColumnElement[bool]:
        of_contact = right.c.contact_id == eyes.subject_id
        return and_(visibility.in_practice(eyes, right), of_contact)

    patch.setattr(visibility, "valid_rights", wrong)


@fault("ids of everybody")
def rights_end_a_day_early(patch: pytest.MonkeyPatch) -> None:
    whole = visibility.valid_rights

    def wrong(eyes: Any, right: Any) -> ColumnElement[bool]:
        return and_(whole(eyes, right), or_(right.c.until.is_(None), right.c.until != eyes.day))

    patch.setattr(visibility, "valid_rights", wrong)


@fault("links of all")
def a_payment_is_seen_by_who_may_open_it_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, Payment, visibility.client_rows("client_id", visibility.Right.DOCUMENTS))


# -- holders ---------------------------------------------------------------------------------------


@fault("ids of everybody")
def a_card_is_seen_by_everybody_who_may_pay(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, PaymentMethod, visibility.client_rows("client_id", visibility.Right.PAY))


@fault("links of all")
def a_shared_card_is_seen_by_who_may_not_pay(patch: pytest.MonkeyPatch) -> None:
    def wrong(eyes: Any, table: Any) -> Any:
        seen = visibility.client_rows("client_id", visibility.Right.ANY)(eyes, table)
        if eyes.kind.is_program:
            return seen
        return and_(seen, or_(visibility.is_held(eyes, table), table.c.is_shared))

    patch.setitem(SEEN, PaymentMethod, wrong)


@fault("ids of everybody")
def a_card_outlives_its_holders_right(patch: pytest.MonkeyPatch) -> None:
    for module in (visibility, payment_methods):
        patch.setattr(module, "holder_may_pay", lambda *_: true())


@fault("ids of everybody")
def who_may_only_pay_sees_the_payments_of_others(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, Payment, visibility.client_rows("client_id", visibility.Right.ANY))


@fault("links of all")
def a_payer_without_documents_sees_no_receipt(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, Receipt, visibility.client_rows("client_id", visibility.Right.DOCUMENTS))


@fault("links of all")
def the_default_card_is_anybodys(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(payment_methods, "is_held", lambda *_: true())


# -- the practice ----------------------------------------------------------------------------------


def anywhere(right: Any) -> Any:
    """Return a predicate without the practice, restricted to the client alone."""

    def wrong(eyes: Any, table: Any) -> ColumnElement[bool]:
        column = table.c.id if table.element is Client.__table__ else table.c.client_id
        if eyes.kind.is_program:
            return true()
        if eyes.kind is ViewerKind.CLIENT:
            return and_(column == eyes.subject_id)
        return and_(column.in_(visibility.clients_of_contact(eyes, visibility.Right.ANY)))

    return wrong


@fault("one client")
def the_practice_is_no_wall_for_clients(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, Client, anywhere(SEEN[Client]))


@fault("ids of everybody")
def the_practice_is_no_wall_for_payments(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, Payment, anywhere(SEEN[Payment]))


@fault("links of links")
def rights_of_another_practice_count(patch: pytest.MonkeyPatch) -> None:
    def wrong(eyes: Any, wanted: visibility.Right) -> Any:
        right = ContactRight.__table__.alias()
        enough = {
            visibility.Right.ANY: or_(right.c.sees_documents, right.c.can_pay),
            visibility.Right.DOCUMENTS: right.c.sees_documents,
            visibility.Right.PAY: right.c.can_pay,
        }
        own = right.c.contact_id == eyes.subject_id
        return select(right.c.client_id).where(own, enough[wanted])

    patch.setattr(visibility, "clients_of_contact", wrong)


# -- visible columns and rows ----------------------------------------------------------------------


@fault("one clinician")
def unshared_invoices_are_seen(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, Invoice, visibility.client_rows("client_id", visibility.Right.DOCUMENTS))


@fault("ids of everybody")
def unshared_statements_are_seen(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, Statement, visibility.client_rows("client_id", visibility.Right.DOCUMENTS))


@fault("ids of everybody")
def who_may_only_pay_sees_superbills(patch: pytest.MonkeyPatch) -> None:
    def wrong(eyes: Any, table: Any) -> Any:
        seen = visibility.client_rows("client_id", visibility.Right.ANY)(eyes, table)
        shared = table.c.shared_at.is_not(None)
        return seen if eyes.kind.is_program else and_(seen, shared)

    patch.setitem(SEEN, Superbill, wrong)


@fault("filters")
def who_may_only_pay_opens_the_history(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, LedgerEntry, visibility.client_rows("client_id", visibility.Right.ANY))


@fault("cursors of others")
def who_may_only_pay_sees_receipts(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, Receipt, visibility.client_rows("client_id", visibility.Right.ANY))


@fault("links of all")
def removed_cards_are_seen(patch: pytest.MonkeyPatch) -> None:
    right = payment_methods.rows

    def wrong(eyes: Any, *where: Any) -> Any:
        rows = right(eyes, *where)
        return replace(rows, where=rows.where[1:])

    patch.setattr(payment_methods, "rows", wrong)


@fault("one id")
def sums_leave_out_what_may_not_be_opened(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(
        COUNTED, LedgerEntry, visibility.client_rows("client_id", visibility.Right.DOCUMENTS)
    )


@fault("without the scope")
def sessions_need_no_scope(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(types.invoice.Session, REQUIRED, NO_SCOPE)


@fault("ids of everybody")
def an_id_needs_no_scope(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(scopes, "types_of_ids", lambda *_: iter(()))


@fault("without the scope")
def what_gives_a_bill_needs_no_scope(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(field_facts, "item_type", lambda _: GraphQLString)


@fault("one clinician")
def sums_are_everybodys(patch: pytest.MonkeyPatch) -> None:
    for type_ in (types.reports.Aging, types.reports.RevenuePeriod):
        patch.setattr(type_, REQUIRED, NO_SCOPE)


@fault("one clinician")
def the_practice_is_no_wall_for_sums(patch: pytest.MonkeyPatch) -> None:
    for model in (LedgerEntry, Invoice, Allocation):
        patch.setitem(COUNTED, model, lambda _, __: true())


# -- ids, cursors and filters ----------------------------------------------------------------------


@fault("what is no id")
def an_id_of_another_kind_is_taken(patch: pytest.MonkeyPatch) -> None:
    def wrong(id_: Any, _: str) -> Any:
        return bind(map_deferred(ids.bare, id_), ID)

    for module in (aging, clients, invoices):
        patch.setattr(module, "row_id", wrong)


@fault("one clinician")
def a_therapist_of_nobody_is_everybody(patch: pytest.MonkeyPatch) -> None:
    right = invoices.filter_invoices

    def wrong(eyes: Any, _: Any, *given: Any) -> Any:
        return right(eyes, lambda table: true(), *given)

    patch.setattr(invoices, "filter_invoices", wrong)


@fault("cursors of others")
def a_cursor_tells_where_a_stranger_stands(patch: pytest.MonkeyPatch) -> None:
    right = Page.side

    def wrong(self: Page, cursor: Any, *, after: bool) -> Any:
        with pytest.MonkeyPatch.context() as inner:
            inner.setitem(SEEN, Client, visibility.in_practice)
            return right(self, cursor, after=after)

    patch.setattr(Page, "side", wrong)


@fault("search")
def a_count_is_of_the_whole_practice(patch: pytest.MonkeyPatch) -> None:
    right = Page.value

    def wrong(self: Page, fact: PageFact) -> Any:
        with pytest.MonkeyPatch.context() as inner:
            if fact is PageFact.TOTAL:
                inner.setitem(SEEN, Client, visibility.in_practice)
            return right(self, fact)

    patch.setattr(Page, "value", wrong)


@fault("one id")
def a_hidden_id_is_refused_not_null(patch: pytest.MonkeyPatch) -> None:
    def wrong(id_: str) -> str:
        found = bare(id_)
        if found != NOWHERE:
            return found
        raise FieldError("NOT_FOUND", "there is nothing of this id")

    bare = ids.bare
    patch.setattr(ids, "bare", wrong)


# -- the matrix ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAULTS)
async def test_planted_leak_is_reported(
    matrix: Matrix, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    plant, probe = FAULTS[name]
    plant(monkeypatch)
    faults = await told(matrix, probe)
    print(*faults[:1])
    assert faults, f"{probe} does not report that {name}"


def test_each_probe_has_a_leak_to_report(matrix: Matrix) -> None:
    assert {probe for _, probe in FAULTS.values()} == ALL.keys()


async def told(matrix: Matrix, probe: str) -> list[str]:
    """Return the faults that the probe reports, for the first kind of viewer with any."""
    matrix.forget()
    matrix.report.faults.clear()
    for sort in ASKERS:
        await ALL[probe](matrix, matrix.households.of(sort)[0])
        if matrix.report.faults:
            break
    return matrix.report.faults


async def test_expired_token_that_works_is_reported(
    matrix: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Authenticator.values

    def wrong(self: Authenticator, plan: Any, names: Sequence[str], now: dt.datetime) -> Any:
        return right(self, plan, names, now - dt.timedelta(days=30))

    monkeypatch.setattr(Authenticator, "values", wrong)
    matrix.report.faults.clear()
    async with doors.server(matrix) as client:
        await doors.shut_doors(matrix, client, matrix.households.of(ASKERS[0])[0])
    assert matrix.report.faults


def unshared_statements_open(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, Statement, visibility.client_rows("client_id", visibility.Right.DOCUMENTS))


def documents_need_no_scope(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(document_files, "OPENING", frozenset({Scope.BILLING_READ}))


def a_link_outlives_its_token(patch: pytest.MonkeyPatch) -> None:
    right = Authenticator.by_token_id

    async def wrong(self: Authenticator, token_id: str, now: dt.datetime) -> Any:
        return await right(self, token_id, now - dt.timedelta(days=30))

    patch.setattr(Authenticator, "by_token_id", wrong)


def another_practices_document_is_printed(patch: pytest.MonkeyPatch) -> None:
    right = facts.read_document

    async def wrong(rows: Any, kind: Any, _: str, id_: str, keys: Any) -> Any:
        practice = await facts.practice_of_document(rows, kind, id_)
        return await right(rows, kind, practice or "", id_, keys)

    patch.setattr(printer, "read_document", wrong)


OF_PAPERS: dict[Plant, str] = {
    unshared_statements_open: "Ana Prieto",
    documents_need_no_scope: "dashboard of money",
    a_link_outlives_its_token: "Ana Prieto",
    another_practices_document_is_printed: "Ana Prieto",
}


@pytest.mark.parametrize("plant", OF_PAPERS)
async def test_planted_leak_of_documents_is_reported(
    matrix: Matrix, monkeypatch: pytest.MonkeyPatch, plant: Plant
) -> None:
    await papers.forget(matrix)
    plant(monkeypatch)
    matrix.report.faults.clear()
    asking = [one for one in matrix.households.bearers if one.sort == OF_PAPERS[plant]]
    async with doors.server(matrix) as client:
        for bearer in asking:
            await papers.documents_of_everybody(matrix, client, bearer)
    assert matrix.report.faults
