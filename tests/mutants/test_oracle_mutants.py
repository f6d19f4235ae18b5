"""Faults planted one at a time: the comparison with the oracle fails for each.

Planner and fallback share their sources, so comparing them with each other finds few of these.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Date,
    and_,
    cast,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
)

import billing.ledger.receivables
import billing.ledger.revenue
import billing.superbills
from billing.ledger.balance import Account, AccountStatements
from billing.ledger.greatest import at_least_zero
from billing.ledger.invoices import InvoiceTotals
from execution import executor
from models import (
    Client,
    ContactRight,
    EntryKind,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    PaymentState,
    Scope,
)
from planner import emitter, pagination
from planner.deferred import bind
from planner.pagination import Page
from planner.selection import Selection
from resolvers import (
    account_history,
    balances,
    clients,
    filters,
    invoices,
    list_parameter,
    online_payments,
    payment_methods,
    payments,
    superbills,
    visibility,
)
from resolvers.clients import ClientOrderField
from resolvers.invoices import InvoiceOrderField
from tests.conftest import SEED
from tests.mutants.faults import (
    FAULTS,
    IN_DOCUMENTS,
    fault,
    reports,  # noqa: F401 (plants its faults on import)
)
from tests.support.comparison import Answered, Case, Comparison
from tests.support.example_operations import AGES, PERIOD, REPORTS, WRITTEN
from tests.support.operations import drawn
from tests.support.operations.pools import Pool, pool, pools

# These tests are about the comparison, so one database is enough.
pytestmark = [
    pytest.mark.campaign,
    pytest.mark.rest,
    pytest.mark.parametrize("new_database", ["sqlite"], indirect=True, scope="session"),
]

# The number of generated operations tried before the written ones.
BOUND = 140
# Of them, the operations of a dashboard with `aggregates:read` alone.
OF_SUMS = 60
# The least percentage of faults that generated operations have to find by themselves. The edges of
# the reports' rules are seldom generated, so operations for them are written out.
GENERATED = 35
# In addition to the operations in `tests.support.operations`.
TWO_CURSORS = """query ($after: String, $before: String) { client { accountHistory(
    dateRange: {}, after: $after, before: $before) { nodes { id } } } }"""
REVERSED = (
    '{ client { invoices(dateRange: {gte: "2026-03-15", lte: "2026-03-14"}) { totalCount } } }'
)
BY_DUE_DAY = "{ practice { invoices(orderBy: {field: DUE_ON}, first: 500) { nodes { id } } } }"
NODES = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
BY_NAME = '{ clients { nodes { id } } found: clients(search: "JOSÉ") { nodes { id } } }'
OF_THERAPIST = f"""query ($of: ID) {{ practice {{ aging(clinicianId: $of) {{ {AGES} }}
    revenue(clinicianId: $of, groupBy: WEEK, dateRange: {{ gte: "2025-01-01", lte: "2026-03-20" }})
    {{ {PERIOD} }} }} }}"""
REFUSED = (
    '{ practice { aging(asOf: "2026-03-16") { asOf } } }',
    '{ practice { revenue(dateRange: { gte: "2025-02-24", lte: "2026-03-31" }, groupBy: DAY)'
    " { start } } }",
)
SUMS = "USD dashboard of sums"
SCOPED = ("of sums", "without documents", "without phi")
ASKERS = ("USD client 0", "USD client 2", "JPY contact who pays for one")

SEEN: dict[Any, Any] = visibility.VISIBLE
Foretold = list[tuple[Case, Answered]]


@pytest.fixture(scope="module")
def generated(comparison: Comparison) -> Foretold:
    """Return operations with the oracle's answers."""
    everybody, contract = pools(comparison), comparison.oracle.schema
    of_sums = [one for one in everybody if one.scopes == {Scope.AGGREGATES_READ}]
    cases = drawn(OF_SUMS, contract, of_sums, SEED)
    cases += drawn(BOUND - OF_SUMS, contract, everybody, SEED)
    return [(case, comparison.foretold(case)) for case in cases]


@pytest.fixture(scope="module")
def written(comparison: Comparison) -> Foretold:
    known = pool(comparison, ASKERS[0])
    cursors, ids = sorted(known.cursors["history"]), known.node_ids["inv"][:5]
    ends = {"before": cursors[-5], "after": cursors[-1]}
    cases = [Case(ASKERS[0], REVERSED), Case(ASKERS[0], TWO_CURSORS, ends)]
    cases += [Case(ASKERS[0], NODES, {"ids": ids})]
    for query in (BY_NAME, BY_DUE_DAY):
        cases += [Case(f"{currency} dashboard", query) for currency in ("USD", "JPY", "KWD")]
    cases += [Case(SUMS, *asked) for asked in REPORTS.values()]
    cases += [Case(SUMS, OF_THERAPIST, {"of": id_}) for id_ in known.clinician_ids[:2]]
    cases += [Case(SUMS, query) for query in REFUSED]
    cases += [Case(f"USD dashboard {of}", *asked) for of in SCOPED for asked in out_of_scope(known)]
    cases += [Case(who, *asked, name_in(asked[0])) for asked in WRITTEN.values() for who in ASKERS]
    return [(case, comparison.foretold(case)) for case in cases]


def out_of_scope(known: Pool) -> list[tuple[str, Mapping[str, Any]]]:
    """Return operations that some dashboard lacks the scopes for."""
    return [
        ("{ practice { invoices { totalCount nodes { document { fileName } } } } }", {}),
        ("{ practice { invoices { totalCount } } }", {}),
        ("{ practice { aging { asOf } } }", {}),
        ("query ($id: ID!) { node(id: $id) { id } }", {"id": known.node_ids["ses"][0]}),
    ]


def name_in(query: str) -> str | None:
    return "Page" if "query Page " in query else None


@pytest.fixture(autouse=True)
def anew(comparison: Comparison, request: pytest.FixtureRequest) -> Iterator[None]:
    """Discard the plans of the fault before.

    Documents are kept, since most faults are not in them.
    """
    in_documents = request.node.callspec.params.get("name") in IN_DOCUMENTS
    forget = comparison.forget if in_documents else comparison.plan_anew
    forget()
    yield
    forget()


# -- orders and pages ------------------------------------------------------------------------------


@fault
def a_list_is_the_wrong_way_round(patch: pytest.MonkeyPatch) -> None:
    right = emitter.ordering
    patch.setattr(
        emitter, "ordering", lambda rows: right(replace(rows, descending=not rows.descending))
    )


@fault
def a_connection_is_the_wrong_way_round(patch: pytest.MonkeyPatch) -> None:
    right = Page.__init__

    def wrong(self: Page, rows: Any, *given: Any, **more: Any) -> None:
        right(self, replace(rows, descending=not rows.descending), *given, **more)

    patch.setattr(Page, "__init__", wrong)


@fault
def ties_are_in_the_wrong_order(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(
        invoices.ORDERS,
        InvoiceOrderField.ISSUED_ON,
        lambda t: ("invoice-issued", (t.c.issued_on, -t.c.serial)),
    )


@fault
def an_invoice_without_a_due_day_comes_first(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(invoices, "NEVER", literal_column("'0001-01-01'", Date))


@fault
def a_page_has_one_too_many(patch: pytest.MonkeyPatch) -> None:
    right = pagination.page_size
    patch.setattr(pagination, "page_size", lambda asked, most: right(asked, most) + 1)


@fault
def a_cursors_own_row_is_shown_again(patch: pytest.MonkeyPatch) -> None:
    right = Page.side

    def wrong(self: Page, cursor: Any, *, after: bool) -> Any:
        return ~right(self, cursor, after=not after)

    patch.setattr(Page, "side", wrong)


@fault
def the_last_page_is_not_the_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Page, "has_next", property(lambda self: self.more))


@fault
def a_page_forgets_its_other_cursor(patch: pytest.MonkeyPatch) -> None:
    right = Page.cut

    def wrong(self: Page, found: Any) -> Any:
        if self.bounds.after is not None:
            self.bounds = replace(self.bounds, before=None)
        return right(self, found)

    patch.setattr(Page, "cut", wrong)


# -- filters ---------------------------------------------------------------------------------------


@fault
def a_reversed_range_is_let_through(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(filters, "check_order", lambda first, last: (first, last))


@fault
def the_end_of_a_range_is_outside(patch: pytest.MonkeyPatch) -> None:
    right = filters.overlapping

    def wrong(start: Any, end: Any, range_: Any) -> Any:
        inside = right(start, end, range_)
        last = range_ and range_.lte
        return and_(inside, ~(start == bind(last, start.type))) if last else inside

    patch.setattr(filters, "overlapping", wrong)


@fault
def the_default_range_is_a_day_short(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(account_history, "DEFAULT_DAYS", account_history.DEFAULT_DAYS - 1)


@fault
def skip_is_include(patch: pytest.MonkeyPatch) -> None:
    right = Selection.included
    patch.setattr(
        Selection, "included", lambda self, node: not node.directives or not right(self, node)
    )


@fault
def names_are_ordered_as_they_are_written(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(
        clients.ORDERS, ClientOrderField.NAME, ("client-name", lambda client: client.c.name)
    )


@fault
def a_search_minds_accents(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(clients, "fold_name", str.casefold)


@fault
def nodes_come_in_another_order_than_asked(patch: pytest.MonkeyPatch) -> None:
    def wrong(value: Any, type_: Any) -> Any:
        return -cast(value, type_) if type_ is BigInteger else cast(value, type_)

    patch.setattr(list_parameter, "cast", wrong)


# -- payments and superbills -----------------------------------------------------------------------


@fault
def a_payment_that_failed_is_active(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(payments, "ACTIVE_STATES", (PaymentState.FAILED,))


@fault
def what_was_paid_counts_as_refunded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(payments, "EntryKind", SimpleNamespace(REFUND=EntryKind.PAYMENT))


@fault
def a_visit_without_a_code_is_complete(patch: pytest.MonkeyPatch) -> None:
    right = billing.superbills.line_gaps
    patch.setattr(superbills, "line_gaps", lambda line: [gap.where(false()) for gap in right(line)])


@fault
def the_least_payment_is_too_little(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(online_payments, "smallest_charge", lambda _: 49)


# -- money -----------------------------------------------------------------------------------------


@fault
def the_balance_has_the_wrong_sign(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Account, "balance", property(lambda self: -self.movements["balance"]))


@fault
def unused_credit_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Account, "payable_of", lambda self, due, _: at_least_zero(due))


@fault
def a_past_balance_counts_what_came_later(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AccountStatements, "until", lambda *_: true())


@fault
def a_disputed_invoice_is_payable(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(balances, "is_disputed", lambda *_: false())


@fault
def the_history_is_listed_by_the_days_of_service(patch: pytest.MonkeyPatch) -> None:
    right = account_history.entries_of

    def wrong(table: Any, visible: Any, **columns: Any) -> Any:
        return right(table, visible, **columns | {"date": columns["day"]})

    patch.setattr(account_history, "entries_of", wrong)


@fault
def refunds_are_not_taken_back_from_what_is_paid(patch: pytest.MonkeyPatch) -> None:
    right: Any = Account.terms

    def wrong(self: Account) -> Any:
        return [
            (kind, -self.allocated["total"] if kind.name == "PAID" else sum_)
            for kind, sum_ in right.fget(self)
        ]

    patch.setattr(Account, "terms", property(wrong))


@fault
def a_void_invoice_is_called_paid(patch: pytest.MonkeyPatch) -> None:
    right = InvoiceTotals.__init__
    patch.setattr(
        InvoiceTotals, "__init__", lambda self, _, billed, paid: right(self, false(), billed, paid)
    )


@fault
def a_paid_invoice_is_past_due(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        InvoiceTotals,
        "past_due",
        lambda self, due_on, today: and_(func.coalesce(due_on < today, false()), ~self.is_void),
    )


@fault
def a_session_of_a_void_invoice_counts_as_invoiced(patch: pytest.MonkeyPatch) -> None:
    def wrong(session: Any, eyes: Any) -> Any:
        line = eyes.for_totals(InvoiceLine)
        same = and_(line.c.practice_id == session.c.practice_id, line.c.session_id == session.c.id)
        return (
            select(line.c.position)
            .where(eyes.predicate_for(line), same)
            .exists()
            .correlate(session)
        )

    patch.setattr(clients, "is_invoiced", wrong)


@fault
def every_currency_has_two_decimals(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(executor, "currency_digits", lambda _: 2)


@fault
def a_card_expires_soon_a_month_too_early(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(payment_methods, "SOON_MONTHS", payment_methods.SOON_MONTHS + 1)


# -- visibility ------------------------------------------------------------------------------------


@fault
def a_table_has_no_predicate_for_its_client(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, Client, visibility.in_practice)


@fault
def the_practice_is_no_wall(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, Client, lambda _, __: true())


@fault
def unshared_documents_are_seen(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, Invoice, visibility.client_rows("client_id", visibility.Right.DOCUMENTS))


@fault
def who_may_only_pay_opens_the_history(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEEN, LedgerEntry, visibility.client_rows("client_id", visibility.Right.ANY))


@fault
def anothers_rights_count(patch: pytest.MonkeyPatch) -> None:
    def wrong(eyes: Any, opened: bool) -> Any:
        right = ContactRight.__table__.alias()
        return select(right.c.client_id).where(right.c.practice_id == eyes.practice_id)

    patch.setattr(visibility, "clients_of_contact", wrong)


@fault
def ended_rights_count(patch: pytest.MonkeyPatch) -> None:
    def wrong(eyes: Any, right: Any) -> Any:
        of_contact = right.c.contact_id == eyes.subject_id
        return and_(visibility.in_practice(eyes, right), of_contact)

    patch.setattr(visibility, "valid_rights", wrong)


@fault
def rights_end_a_day_early(patch: pytest.MonkeyPatch) -> None:
    whole = visibility.valid_rights

    def wrong(eyes: Any, right: Any) -> Any:
        return and_(whole(eyes, right), or_(right.c.until.is_(None), right.c.until != eyes.day))

    patch.setattr(visibility, "valid_rights", wrong)


# -- the comparison --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    """Return the faults found so far, and by which kind of operation."""
    return {}


@pytest.mark.parametrize("name", FAULTS)
async def test_planted_fault_is_found(
    comparison: Comparison,
    generated: Foretold,
    written: Foretold,
    monkeypatch: pytest.MonkeyPatch,
    told: dict[str, str],
    name: str,
) -> None:
    FAULTS[name](monkeypatch)
    for number, (case, answer) in enumerate([*generated, *written], 1):
        found, _ = await comparison.answer(case)
        if found != answer:
            told[name] = "generated" if number <= BOUND else "written"
            print(f"found by operation {number}, {told[name]}")
            return
    pytest.fail(f"no operation shows that {name}")


async def test_generated_operations_find_most_faults(told: dict[str, str]) -> None:
    if not told:
        pytest.skip("no faults were planted before this test")
    by_generated = [name for name, by in told.items() if by == "generated"]
    assert len(by_generated) * 100 >= len(told) * GENERATED, told


async def test_without_a_fault_all_answers_agree(
    comparison: Comparison, generated: Foretold, written: Foretold
) -> None:
    for case, answer in [*generated, *written]:
        found, _ = await comparison.answer(case)
        assert found == answer
