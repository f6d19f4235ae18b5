"""Isolation of viewers: each field that takes or returns an id, for each kind of viewer.

Every response is compared with the rules in plain Python. A probe fails on a row too many, a row
too few, and a row with the right id in the wrong practice.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from graphql import extend_schema, is_interface_type, parse

from tests.security.isolation import contract, doors, ids, lists, papers, ways
from tests.security.isolation.changes import CHANGERS, ENTERED, RESULTS, SIGN_INS, VIEWERS
from tests.security.isolation.households import SORTS, STALE_SORTS, Bearer, founded
from tests.security.isolation.links import LINKS
from tests.security.isolation.matrix import Matrix, over
from tests.security.isolation.sight import PREFIXES
from tests.support import shares

pytestmark = [pytest.mark.campaign, pytest.mark.twins(4)]

Probe = Callable[[Matrix, Bearer], Awaitable[None]]
PROBES: dict[str, Probe] = {
    "ids of everybody": ids.ids_of_everybody,
    "one id": ids.one_id,
    "one client": ids.one_client,
    "one clinician": ids.one_clinician,
    "links of all": ways.links_of_all,
    "links of links": ways.links_of_links,
    "cursors of others": lists.cursors_of_others,
    "filters": lists.filters,
    "search": lists.search,
    "without the scope": lists.without_the_scope,
}
TAKEN = {*ids.TAKERS, *CHANGERS, *ENTERED, *SIGN_INS}
# These probes visit many rows per viewer, so each runs for one viewer of a kind. The guardian has
# wards of every right.
DEEP = ("links of links", "cursors of others", "filters")
CELLS = [(probe, sort) for probe in PROBES for sort in (STALE_SORTS if probe in DEEP else SORTS)]
AT_LEAST = 3_000
# One viewer in so many opens the documents, since each document is printed.
EACH = shares.number(1, quick=48)
# Owners on whose rows each kind of viewer has to have been tried.
STRANGERS = {"other practice", "nowhere"}
WHOSE = {
    "Ana Prieto": STRANGERS | {"self", "sibling", "stranger"},
    "guardian of several": STRANGERS
    | {"ward seespays", "ward sees", "ward pays", "former ward", "stranger"},
    "guardian of one": STRANGERS | {"ward seespays", "former ward", "sibling", "stranger"},
    "contact who sees": STRANGERS | {"ward sees", "sibling", "stranger"},
    "contact who pays": STRANGERS | {"ward pays", "sibling", "stranger"},
    "contact of nobody": STRANGERS | {"stranger"},
    "dashboard of sums": STRANGERS | {"client"},
    "dashboard of money": STRANGERS | {"client"},
    "dashboard of everything": STRANGERS | {"client"},
    "integration of everything": STRANGERS | {"client"},
}


@pytest.fixture(scope="module")
async def matrix(
    new_database: Callable[[], AbstractAsyncContextManager[str]],
) -> AsyncIterator[Matrix]:
    async with new_database() as url, over(url, founded()) as made:
        yield made


# The same documents follow each other, so that each is planned and prepared once.
@pytest.mark.share(20)
@pytest.mark.parametrize(("probe", "sort"), CELLS)
async def test_viewer_sees_exactly_own_rows(matrix: Matrix, probe: str, sort: str) -> None:
    with matrix.report.fresh():
        for bearer in matrix.households.of(sort):
            await PROBES[probe](matrix, bearer)
    matrix.made.add((sort, probe))


@pytest.mark.parametrize("sort", STALE_SORTS)
async def test_malformed_ids_are_refused_alike(matrix: Matrix, sort: str) -> None:
    with matrix.report.fresh():
        await ids.what_is_no_id(matrix, matrix.households.of(sort)[0])


async def test_http_accepts_live_tokens_only(matrix: Matrix) -> None:
    async with doors.server(matrix) as client:
        with matrix.report.fresh():
            for sort in STALE_SORTS:
                await doors.shut_doors(matrix, client, matrix.households.of(sort)[0])
                await doors.open_doors(matrix, client, matrix.households.of(sort)[0])


async def test_document_opens_only_for_permitted_viewers(matrix: Matrix) -> None:
    async with doors.server(matrix) as client:
        with matrix.report.fresh():
            for bearer in matrix.households.bearers[::EACH]:
                await papers.documents_of_everybody(matrix, client, bearer)


async def test_every_kind_of_viewer_was_tried_on_all_owners(matrix: Matrix) -> None:
    if len(matrix.made) < len(CELLS):
        pytest.skip("only a part of the matrix ran before this test")
    print(f"{matrix.report.total:,} probes")
    assert matrix.report.total >= AT_LEAST
    assert matrix.kept >= AT_LEAST // 4
    tried = {
        (sort, field.partition(": ")[2][:3], whose)
        for field, sort, whose in matrix.report.probes
        if field.startswith("Query.nodes(ids: ")
    }
    for sort, everybody in WHOSE.items():
        for prefix in PREFIXES.values():
            # The practice and its clinicians belong to none of its people.
            for whose in STRANGERS if prefix in ("pra", "cln") else everybody:
                assert (sort, prefix, whose) in tried


# -- completeness of the matrix --------------------------------------------------------------------


def test_every_field_that_takes_an_id_is_probed(matrix: Matrix) -> None:
    taking = set(contract.takers_of_ids(matrix.schema))
    assert taking == TAKEN


def test_every_field_that_returns_a_row_is_probed(matrix: Matrix) -> None:
    by_id = {("Query", name) for name in ("node", "nodes", "client")}
    linked = {(type_, field) for type_, fields in LINKS.items() for field in fields}
    assert set(contract.links_of(matrix.schema)) == linked | by_id | RESULTS | VIEWERS


def test_every_type_with_an_id_has_a_kind(matrix: Matrix) -> None:
    types = contract.with_ids(matrix.schema)
    found = {one for one in types if not is_interface_type(matrix.schema.type_map[one])}
    # Sign-ins and identities are not nodes: only their owner sees them, in a list.
    assert found == {*PREFIXES, "Identity", "SignIn"}


def test_new_fields_would_be_noticed(matrix: Matrix) -> None:
    """Including one with an id deep in an input, and one that leads to a row by a union."""
    more = """
        extend type Practice { hours(clinicianId: ID): Int }
        type Changes { settle(input: SettleInput!): SettleResult! }
        input SettleInput { source: SettleSource! }
        input SettleSource { paymentMethodId: ID }
        union SettleResult = Paid | Refused
        type Paid { payment: Payment! }
        type Refused { message: String! }
    """
    schema = extend_schema(matrix.schema, parse(more))
    assert set(contract.takers_of_ids(schema)) - TAKEN == {
        "Practice.hours(clinicianId:)",
        "Changes.settle(input.source.paymentMethodId:)",
    }
    assert set(contract.links_of(schema)) - set(contract.links_of(matrix.schema)) == {
        ("Changes", "settle"),
        ("Paid", "payment"),
    }
