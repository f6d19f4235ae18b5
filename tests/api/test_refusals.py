"""Refusals: always a GraphQL error with a code, and a message without Python's words."""

import json
from typing import Any

import pytest

from execution.pipeline import Request
from tests.support.comparison import Answered, Case, Comparison
from tests.support.operations.pools import NOWHERE, pool
from tests.support.practices.random_values import NOW

CLIENT = "USD client 0"
BY_ID = "query ($id: ID) { client(id: $id) { id } }"
ISSUED = "query ($day: Date) { client { invoices(dateRange: {gte: $day}) { totalCount } } }"
WITHIN = "query ($range: DateRange) { client { invoices(dateRange: $range) { totalCount } } }"
FIRST = "query ($size: Int) { client { invoices(first: $size) { nodes { id } } } }"
AFTER = "query ($at: String) { client { invoices(after: $at) { nodes { id } } } }"
STATUS = "query ($status: [InvoiceStatus!]) { client { invoices(status: $status) { totalCount } } }"
SURROGATE, NUL = "\ud800", "\0"
NEVER_SAID = ("Traceback", "NoneType", "object at", "TypeError", "ValueError", "sqlite", "asyncpg")


async def codes(comparison: Comparison, query: str, variables: Any = None, name: Any = None) -> Any:
    """Return the codes of all errors, whose messages have to be plain."""
    errors = await refusals(comparison, CLIENT, Request(query, name, variables or {}))
    return [error["extensions"]["code"] for error in errors]


async def refusals(comparison: Comparison, who: str, request: Request) -> list[Any]:
    answer = await comparison.graph.answer(request, comparison.viewers[who], NOW)
    errors: list[Any] = json.loads(answer.body).get("errors", [])
    for error in errors:
        assert error["message"]
        assert not any(word in error["message"] for word in NEVER_SAID), error["message"]
    return errors


# -- ids -------------------------------------------------------------------------------------------


async def test_invisible_client_is_answered_like_an_unknown_one(
    comparison: Comparison,
) -> None:
    unknown = "cli_00000000-0000-4000-8000-000000000000"
    told = [who for who in comparison.practices.tokens if "sums" not in who]
    for who in told:
        for id_ in (*pool(comparison, who).strange_ids, unknown):
            answered, planned = await comparison.answer(Case(who, BY_ID, {"id": id_}))
            assert planned
            assert answered == Answered({"client": None}, [])


@pytest.mark.parametrize(
    "id_",
    [
        "",
        "cli",
        "cli_",
        "cli_1",
        "CLI_00000000-0000-4000-8000-000000000000",
        "cli_00000000-0000-4000-8000-00000000000A",
        "cli_00000000000040008000000000000000",
        " cli_00000000-0000-4000-8000-000000000000",
        "cli_00000000-0000-4000-8000-000000000000\n",
        "inv_00000000-0000-4000-8000-000000000000",
        "cli_' OR 1=1 --",
        "1",
        "\u0663",
    ],
)
async def test_malformed_id_is_refused(comparison: Comparison, id_: str) -> None:
    literal = f"{{ client(id: {json.dumps(id_)}) {{ id }} }}"
    assert await codes(comparison, BY_ID, {"id": id_}) == ["BAD_ID"]
    assert await codes(comparison, literal) == ["BAD_ID"]
    await comparison.check(Case(CLIENT, literal))


async def test_viewer_of_several_clients_has_to_name_one(comparison: Comparison) -> None:
    for who in ("USD contact of several", "USD dashboard", "USD contact of nobody"):
        answered, _ = await comparison.check(Case(who, "{ client { id } }"))
        assert answered == Answered({"client": None}, [(["client"], "CLIENT_REQUIRED")])


# -- cursors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "0",
        "zz",
        "FF",
        "ffff",
        "\u00e9",
        "00" * 10_000,
        *(
            text.encode().hex()
            for text in (
                "invoice-issued",
                "invoice-issued~2026-03-01",
                "invoice-issued~2026-03-01~1~1",
                "invoice-issued~2026-02-30~1",
                "invoice-issued~20260301~1",
                "invoice-issued~2026-W09-7~1",
                "invoice-issued~0000-00-00~1",
                "invoice-issued~2026-03-01~x",
                "invoice-issued~2026-03-01~007",
                "invoice-issued~2026-03-01~99999999999999999999",
                "invoice-due~2026-03-01~1",
                "statement~2026-03-01~1",
                "invoice-number~1",
                "invoice-issued~2026-03-01~\u0663",
            )
        ),
    ],
)
async def test_cursor_of_another_list_is_refused(comparison: Comparison, cursor: str) -> None:
    assert await codes(comparison, AFTER, {"at": cursor}) == ["BAD_CURSOR"]
    unread = AFTER.replace("nodes { id }", "totalCount").replace("after", "last: 1, before")
    assert await codes(comparison, unread, {"at": cursor}) == ["BAD_CURSOR"]


# -- pages and ranges ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "code"),
    [
        (0, "BAD_PAGE"),
        (-1, "BAD_PAGE"),
        (101, "BAD_PAGE"),
        (2**31 - 1, "BAD_PAGE"),
        (2**31, "BAD_USER_INPUT"),
        (2**63, "BAD_USER_INPUT"),
        (10**400, "BAD_USER_INPUT"),
        (float("inf"), "BAD_USER_INPUT"),
        (float("nan"), "BAD_USER_INPUT"),
        (1.5, "BAD_USER_INPUT"),
        ("1", "BAD_USER_INPUT"),
        (True, "BAD_USER_INPUT"),
        ([1, 2], "BAD_USER_INPUT"),
        ({}, "BAD_USER_INPUT"),
    ],
)
async def test_invalid_page_size_is_refused(comparison: Comparison, size: Any, code: str) -> None:
    assert await codes(comparison, FIRST, {"size": size}) == [code]
    assert await codes(comparison, FIRST.replace("first", "last"), {"size": size}) == [code]


@pytest.mark.parametrize("size", ["2147483648", "9223372036854775808", "1e400", '"1"', "true"])
async def test_page_size_that_is_no_int_fails_validation(comparison: Comparison, size: str) -> None:
    literal = f"{{ client {{ invoices(first: {size}) {{ nodes {{ id }} }} }} }}"
    assert await codes(comparison, literal) == ["GRAPHQL_VALIDATION_FAILED"]


async def test_first_and_last_together_are_refused(comparison: Comparison) -> None:
    query = "{ client { invoices(first: 1, last: 1) { totalCount } } }"
    assert await codes(comparison, query) == ["BAD_PAGE"]
    await comparison.check(Case(CLIENT, query))


@pytest.mark.parametrize(
    "day",
    [
        "2026-02-30", "", "2026-1-1", "+002026-01-01", "20260101", "2026-W01-1", "0000-01-01",
        "2026-01-01T00:00:00Z", " 2026-01-01", "2026-01-01\n", "\u0662\u0660\u0662\u0666-01-01",
        20260102, 1.5, True, ["2026-01-01", "2026-01-02"], {"gte": "2026-01-01"},
    ],
)  # fmt: skip
async def test_invalid_day_is_refused(comparison: Comparison, day: Any) -> None:
    assert await codes(comparison, ISSUED, {"day": day}) == ["BAD_USER_INPUT"]
    assert await codes(comparison, WITHIN, {"range": {"lte": day}}) == ["BAD_USER_INPUT"]
    if isinstance(day, str):
        literal = (
            f"{{ client {{ invoices(dateRange: {{gte: {json.dumps(day)}}}) {{ totalCount }} }} }}"
        )
        assert await codes(comparison, literal) == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("list_", ["invoices", "statements", "superbills", "accountHistory"])
async def test_reversed_range_is_refused(comparison: Comparison, list_: str) -> None:
    ends = {"gte": "2026-03-02", "lte": "2026-03-01"}
    variable = WITHIN.replace("invoices", list_)
    assert await codes(comparison, variable, {"range": ends}) == ["BAD_RANGE"]
    literal = variable.replace("$range)", '{gte: "2026-03-02", lte: "2026-03-01"})')
    assert await codes(comparison, literal.replace("($range: DateRange)", "")) == ["BAD_RANGE"]
    await comparison.check(Case(CLIENT, variable, {"range": ends}))


async def test_first_and_last_day_of_the_calendar_are_accepted(comparison: Comparison) -> None:
    range_ = {"gte": "0001-01-01", "lte": "9999-12-31"}
    await comparison.check(Case(CLIENT, WITHIN, {"range": range_}))


# -- reports ---------------------------------------------------------------------------------------

REVENUE = """query ($days: DateRange!, $by: Period! = DAY, $of: ID) {
    practice { revenue(dateRange: $days, groupBy: $by, clinicianId: $of) { start } } }"""
AGING = "query ($day: Date, $of: ID) { practice { aging(asOf: $day, clinicianId: $of) { asOf } } }"
DAY = {"gte": "2026-03-01", "lte": "2026-03-01"}


@pytest.mark.parametrize(
    ("query", "variables", "code", "said"),
    [
        (REVENUE, {"days": {}}, "BAD_RANGE", "both ends"),
        (REVENUE, {"days": {"gte": "2026-03-01"}}, "BAD_RANGE", "both ends"),
        (REVENUE, {"days": {"gte": None, "lte": "2026-03-01"}}, "BAD_RANGE", "both ends"),
        (REVENUE, {"days": {"gte": "2026-03-02", "lte": "2026-03-01"}}, "BAD_RANGE", "after lte"),
        (REVENUE, {"days": {"gte": "2025-02-24", "lte": "2026-03-31"}}, "BAD_RANGE", "400"),
        (REVENUE, {"days": {"gte": "0001-01-01", "lte": "9999-12-31"}, "by": "YEAR"},
         "BAD_RANGE", "longer ones"),
        (REVENUE, {"days": None}, "BAD_USER_INPUT", "days"),
        (REVENUE, {"days": {"gte": "2026-02-29", "lte": "2026-03-01"}}, "BAD_USER_INPUT", "days"),
        (REVENUE, {"days": DAY, "by": None}, "BAD_USER_INPUT", "by"),
        (REVENUE, {"days": DAY, "by": "FORTNIGHT"}, "BAD_USER_INPUT", "FORTNIGHT"),
        (REVENUE, {"days": DAY, "of": "cln_1"}, "BAD_ID", "not an id"),
        (REVENUE, {"days": DAY, "of": f"cli_{NOWHERE}"}, "BAD_ID", "cln_"),
        (AGING, {"day": "2026-03-16"}, "BAD_INPUT", "today, 2026-03-15"),
        (AGING, {"day": "9999-12-31"}, "BAD_INPUT", "is in the future"),
        (AGING, {"day": "today"}, "BAD_USER_INPUT", "day"),
        (AGING, {"of": "cln_"}, "BAD_ID", "not an id"),
    ],
)  # fmt: skip
async def test_invalid_report_is_refused(
    comparison: Comparison, query: str, variables: Any, code: str, said: str
) -> None:
    who = "USD dashboard of sums"
    (error,) = await refusals(comparison, who, Request(query, None, variables))
    assert (error["extensions"]["code"], said in error["message"]) == (code, True), error
    answered, planned = await comparison.check(Case(who, query, variables))
    assert answered.errors
    assert not planned


async def test_report_may_have_400_periods(comparison: Comparison) -> None:
    days = {"gte": "2025-02-25", "lte": "2026-03-31"}
    case = Case("USD dashboard of sums", REVENUE, {"days": days})
    answered, planned = await comparison.check(case)
    assert planned
    assert len(answered.data["practice"]["revenue"]) == 400


# -- text ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [NUL, SURROGATE, f"cli_{NUL}", f"a{SURROGATE}b"],
    ids=["nul", "surrogate", "in", "among"],
)
async def test_text_that_a_database_can_not_store_is_refused(
    comparison: Comparison, text: str
) -> None:
    for query, variables in (
        (BY_ID, {"id": text}),
        (AFTER, {"at": text}),
        (STATUS, {"status": [text]}),
        (WITHIN, {"range": {"gte": text}}),
        ("{ client { id } }", {text: 1}),
        ("{ client { id } }", {"unknown": [{"deep": text}]}),
    ):
        assert await codes(comparison, query, variables) == ["BAD_USER_INPUT"]
    assert await codes(comparison, "query A { client { id } }", None, text) == ["BAD_USER_INPUT"]
    escaped = f"{{ client(id: {json.dumps(text)}) {{ id }} }}"
    assert await codes(comparison, escaped) in (["BAD_USER_INPUT"], ["GRAPHQL_PARSE_FAILED"])
    assert await codes(comparison, f'{{ client(id: "{text}") {{ id }} }}')
