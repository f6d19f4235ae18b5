"""Costs of lists that read all rows of a practice, for new and for repeated requests."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import httpx
import pytest

from execution.prepared_operation import PreparedRequest
from execution.request_cache import RequestCache
from identity.tokens import Subject
from identity.viewer import Viewer
from models import READ_SCOPES, Client, Practice
from models.ids import new_id
from tests.support.portal import Portal, practice, served

pytestmark = pytest.mark.twins(1)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
FILTERED = "clients(withBalance: false, first: 1) { totalCount }"
SEVERAL = f"{{ {' '.join(f'a{number}: {FILTERED}' for number in range(5))} }}"
CLIENTS = 60
# In cost: enough for five such lists over the small practice's clients, too little for the large
# one.
MOST = 50


@pytest.fixture
async def portal(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Portal]:
    monkeypatch.setattr("execution.row_cost.MAX_COST", MOST)
    async with new_database() as url, served(url) as it:
        yield it


async def dashboards(portal: Portal) -> tuple[str, str]:
    """Return the tokens of a small practice's dashboard and of a large one's."""
    practice_id = new_id()
    await portal.insert(Practice, practice(practice_id))
    row = {"practice_id": practice_id, "name": "Cleo Vance", "created_at": portal.clock()}
    await portal.insert(Client, *(row | {"id": new_id()} for _ in range(CLIENTS)))
    scopes = READ_SCOPES
    small = await portal.token(Subject(portal.practice_id), scopes=scopes)
    return small, await portal.token(Subject(practice_id), scopes=scopes)


def refusal(response: httpx.Response) -> dict[str, object]:
    (error,) = response.json()["errors"]
    extensions: dict[str, object] = error["extensions"]
    return extensions


async def test_computed_filter_costs_the_practices_size(portal: Portal) -> None:
    small, large = await dashboards(portal)
    assert (await portal.ask(SEVERAL, small)).json()["data"]["a0"] == {"totalCount": 2}
    cost = round(5 * 0.2 * CLIENTS)
    told = {"code": "LIMIT_EXCEEDED", "limit": "cost", "value": cost, "most": MOST}
    assert refusal(await portal.ask(SEVERAL, large)) == told
    one = (await portal.ask(f"{{ {FILTERED} }}", large)).json()
    assert one == {"data": {"clients": {"totalCount": CLIENTS}}}


async def test_request_answered_to_a_small_practice_is_refused_to_a_large_one(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = await dashboards(portal)
    hits: list[bool] = []
    recall = RequestCache.recall

    def recorded(cache: RequestCache, body: bytes, viewer: Viewer) -> PreparedRequest | None:
        known = recall(cache, body, viewer)
        hits.append(known is not None)
        return known

    monkeypatch.setattr(RequestCache, "recall", recorded)
    for _ in range(3):
        assert "data" in (await portal.ask(SEVERAL, small)).json()
    assert refusal(await portal.ask(SEVERAL, large))["limit"] == "cost"
    assert hits == [False, False, True, True]


async def test_clients_own_list_costs_little_in_a_large_practice(portal: Portal) -> None:
    _, large = await dashboards(portal)
    many = f"{{ {' '.join(f'a{number}: {FILTERED}' for number in range(50))} }}"
    assert refusal(await portal.ask(many, large))["limit"] == "cost"
    assert (await portal.ask(many, await portal.token())).json()["data"]["a0"] == {"totalCount": 1}
