"""Isolation of viewers who signed in: the matrix of reads, and each mutation with ids of all
owners.

Each viewer signs in by a mailed link, in all practices with that address. Then each reads as in the
matrix, and tries each mutation with the ids of all owners, over HTTP.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from tests.security.isolation import doors, papers
from tests.security.isolation.changes import CHANGERS, ENTERED, SIGN_INS
from tests.security.isolation.entrances import PEOPLE, Inside, signed_in
from tests.security.isolation.entries import ENTRIES
from tests.security.isolation.households import CLIENTS, OTHER, PROGRAMS, RIGHTS, SORTS, Bearer
from tests.security.isolation.mutations import CHANGES, OWN, Change
from tests.security.isolation.shut import changes_without_a_sign_in
from tests.security.isolation.trying import changes_of_everybody
from tests.security.test_isolation import DEEP, PROBES, STRANGERS, WHOSE
from tests.support import shares

pytestmark = [pytest.mark.campaign, pytest.mark.twins(4)]

# Viewers who read. The other three clients are only owners of rows.
READERS = (*CLIENTS[:2], *RIGHTS)
OUT = (CLIENTS[0], "guardian of several")
# These probes visit many rows, so each runs for one of the people.
FAR = (*DEEP, "links of all", "without the scope")
CELLS = [(probe, sort) for probe in PROBES for sort in (OUT[1:] if probe in FAR else READERS)]
CELLS += [("ids of everybody", sort) for sort in PROGRAMS]
AT_LEAST = 5_000
# One viewer in so many opens the documents, since each document is printed.
EACH = shares.number(1, quick=6)


@pytest.fixture(scope="module")
async def inside(
    new_database: Callable[[], AbstractAsyncContextManager[str]],
) -> AsyncIterator[Inside]:
    async with new_database() as url, signed_in(url) as it:
        yield it


def of(inside: Inside, sort: str) -> list[Bearer]:
    """Return the viewers of a kind. In the practice that should stay invisible, only some read."""
    found = inside.households.of(sort)
    return [one for one in found if one.practice != OTHER or sort in OUT]


def test_each_viewer_is_signed_in_everywhere_by_one_mail(inside: Inside) -> None:
    for sort in PEOPLE:
        practices = [bearer.practice for bearer in inside.households.of(sort)]
        assert sorted(practices) == ["EUR", "USD", "twin"]
    assert len(inside.portal.mailbox.letters) == len(PEOPLE) + 2 * len(OUT)


@pytest.mark.share(30)
@pytest.mark.parametrize(("probe", "sort"), CELLS)
async def test_signed_in_viewer_sees_exactly_own_rows(
    inside: Inside, probe: str, sort: str
) -> None:
    with inside.matrix.report.fresh():
        for bearer in of(inside, sort):
            await PROBES[probe](inside.matrix, bearer)
    inside.matrix.made.add((sort, probe))


@pytest.mark.share(24)
@pytest.mark.parametrize("sort", SORTS)
async def test_signed_in_viewer_changes_only_own_rows(inside: Inside, sort: str) -> None:
    with inside.matrix.report.fresh():
        for bearer in of(inside, sort):
            await changes_of_everybody(inside, bearer)
    inside.matrix.made.add((sort, "changes"))


@pytest.mark.share(2)
@pytest.mark.parametrize("sort", OUT)
async def test_ended_sign_in_reaches_nothing(inside: Inside, sort: str) -> None:
    with inside.matrix.report.fresh():
        for bearer in of(inside, sort):
            await doors.shut_doors(inside.matrix, inside.portal.http, bearer)
            await changes_without_a_sign_in(inside, bearer)


async def test_document_opens_only_for_signed_in_viewers_with_the_right(inside: Inside) -> None:
    some = [*inside.households.of("contact who sees"), *inside.households.of("contact of nobody")]
    some += [one for one in inside.households.bearers if one.state != "live"]
    with inside.matrix.report.fresh():
        for bearer in some[::EACH]:
            await papers.documents_of_everybody(inside.matrix, inside.portal.http, bearer)


async def test_every_kind_of_viewer_tried_to_change_rows_of_all_owners(inside: Inside) -> None:
    if len(inside.matrix.made) < len(CELLS) + len(SORTS):
        pytest.skip("only a part of the matrix ran before this test")
    probes = inside.matrix.report.probes
    changes = sum(count for (what, _, _), count in probes.items() if what.startswith("Mutation."))
    print(f"{inside.matrix.report.total:,} probes, {changes:,} of them of mutations")
    assert changes >= AT_LEAST
    tried = {(what, sort, whose) for what, sort, whose in probes}
    for sort, everybody in WHOSE.items():
        for what, change in (CHANGES | ENTRIES).items():
            for whose in owners_of(change, everybody):
                assert (f"Mutation.{what}", sort, whose) in tried | inside.matrix.left_out


def owners_of(change: Change, everybody: set[str]) -> set[str]:
    """Return the owners whose ids have to be tried."""
    if change.kind in OWN:
        return {"nowhere"}
    return everybody if change.kind != "cln" else STRANGERS


def test_every_mutation_that_takes_an_id_is_tried() -> None:
    places = {f"Mutation.{what.partition(',')[0]}" for what in CHANGES | ENTRIES}
    assert places == {*CHANGERS, *ENTERED, *SIGN_INS}


def test_mutations_are_tried_on_strangers_too(inside: Inside) -> None:
    assert {"other practice", "nowhere"} == STRANGERS
    # Clients, and contacts with the right to pay, in three practices.
    assert len(inside.setups) == (len(CLIENTS) + 4) * 3
