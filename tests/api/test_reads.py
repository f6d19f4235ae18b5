"""Written operations: each is one statement on both databases, with the oracle's answer."""

import pytest

from tests.support import shares
from tests.support.comparison import Case, Comparison
from tests.support.example_operations import PAGE, WRITTEN
from tests.support.operations.pools import pool

pytestmark = pytest.mark.twins(1)

# Clients with every kind of history, and contacts with either right.
ASKERS = (
    "USD client 0",
    "KWD contact who pays for one",
    "JPY client 2",
    "USD client 6",
    "USD contact who sees one",
)[: shares.number(5, quick=2)]
# Viewers of several clients, each with the number of one of them.
CHOOSING = (("USD dashboard", 2), ("JPY dashboard without phi", 0), ("KWD contact of several", 2))


@pytest.mark.share(2)
@pytest.mark.parametrize("sentence", WRITTEN)
async def test_operation_is_one_statement_with_the_oracles_answer(
    comparison: Comparison, sentence: str
) -> None:
    query, variables = WRITTEN[sentence]
    for who in ASKERS:
        case = Case(who, query, variables, "Page" if "query Page " in query else None)
        answered, planned = await comparison.check(case, fallback=who == ASKERS[0])
        assert planned
        assert not answered.errors
        assert answered.data


@pytest.mark.share(6)
@pytest.mark.twins(4)
@pytest.mark.parametrize("sentence", WRITTEN)
async def test_dashboard_reads_any_client(comparison: Comparison, sentence: str) -> None:
    """The answer is the client's own, except for a refusal of health information
    without its scope.
    """
    query, variables = WRITTEN[sentence]
    for who, number in CHOOSING:
        id_ = pool(comparison, who).client_ids[number]
        named = query.replace("client {", f'client(id: "{id_}") {{', 1)
        case = Case(who, named, variables, "Page" if "query Page " in query else None)
        answered, planned = await comparison.check(case, fallback=False)
        assert planned or answered.errors == [(None, "SCOPE_REQUIRED")]


# -- paging ----------------------------------------------------------------------------------------

LISTS = (
    "invoices(",
    "invoices(orderBy: {direction: ASC}, ",
    "invoices(orderBy: {field: DUE_ON}, ",
    "invoices(orderBy: {field: DUE_ON, direction: ASC}, ",
    "invoices(orderBy: {field: NUMBER}, ",
    "invoices(pastDue: false, ",
    "statements(",
    "superbills(",
    "accountHistory(dateRange: {}, ",
    "accountHistory(",
    "payments(",
    "receipts(",
)


@pytest.mark.share(2)
@pytest.mark.parametrize("list_", LISTS)
@pytest.mark.parametrize("forward", [True, False], ids=["forward", "backward"])
async def test_pages_add_up_to_the_whole_list(
    comparison: Comparison, list_: str, forward: bool
) -> None:
    size, beyond = ("first", "after") if forward else ("last", "before")
    end, more = ("endCursor", "hasNextPage") if forward else ("startCursor", "hasPreviousPage")
    query = (
        f"query ($at: String) {{ client {{ page: {list_}{size}: 2, {beyond}: $at)"
        f" {{ totalCount edges {{ cursor node {{ id }} }} {PAGE} }}"
        f" all: {list_}first: 100) {{ nodes {{ id }} }} }} }}"
    )
    ids: list[str] = []
    at, goes_on = None, True
    while goes_on:
        case = Case("USD client 0", query, {"at": at})
        answered, planned = await comparison.check(case, fallback=at is None)
        assert planned
        page, whole = answered.data["client"]["page"], answered.data["client"]["all"]
        found = [edge["node"]["id"] for edge in page["edges"]]
        ids = [*ids, *found] if forward else [*found, *ids]
        assert page["totalCount"] == len(whole["nodes"])
        at, goes_on = page["pageInfo"][end], page["pageInfo"][more]
        assert len(ids) <= len(whole["nodes"])
    assert ids == [node["id"] for node in whole["nodes"]]
    assert len(ids) > 2


async def test_page_between_two_cursors(comparison: Comparison) -> None:
    query = (
        "query ($after: String, $before: String) { client { all: accountHistory(dateRange: {})"
        " { edges { cursor } } between: accountHistory(dateRange: {}, after: $after,"
        f" before: $before, first: 2) {{ nodes {{ id }} {PAGE} }} back: accountHistory("
        "dateRange: {}, after: $after, before: $before, last: 2) { nodes { id } pageInfo"
        " { hasPreviousPage } } } }"
    )
    answered, _ = await comparison.check(Case("USD client 0", query))
    cursors = [edge["cursor"] for edge in answered.data["client"]["all"]["edges"]]
    for after, before in ((0, 5), (0, 3), (3, 4), (5, 1)):
        variables = {"after": cursors[after], "before": cursors[before]}
        answered, planned = await comparison.check(Case("USD client 0", query, variables))
        assert planned
        assert len(answered.data["client"]["between"]["nodes"]) == max(
            0, min(2, before - after - 1)
        )


@pytest.mark.parametrize("who", ["USD client 0", "USD client 6"])
@pytest.mark.parametrize("narrowed", ["", "kind: [PAYMENT], ", "kind: [SESSION], "])
async def test_balance_after_an_entry_does_not_depend_on_the_page(
    comparison: Comparison, narrowed: str, who: str
) -> None:
    """At the top of a list, after a cursor, in a range of days, with other kinds left out."""
    node = "{ edges { cursor node { id date balanceAfter { amount } } } }"
    query = (
        "query ($after: String, $before: String, $range: DateRange) { client {"
        f" top: accountHistory(dateRange: $range, {narrowed}first: 100) {node}"
        f" below: accountHistory(dateRange: $range, {narrowed}first: 3, after: $after) {node}"
        f" above: accountHistory(dateRange: $range, {narrowed}last: 3, before: $before) {node}"
        " } }"
    )
    answered, planned = await comparison.check(Case(who, query, {"range": {}}))
    assert planned
    edges = answered.data["client"]["top"]["edges"]
    for edge in edges[:12]:
        range_ = {"lte": edge["node"]["date"]}
        at = {"after": edge["cursor"], "before": edge["cursor"]}
        for variables in ({**at, "range": {}}, {**at, "range": range_}):
            _, planned = await comparison.check(Case(who, query, variables), fallback=False)
            assert planned
