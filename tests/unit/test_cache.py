"""Cache with fair shares among the owners of its items."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.cache import FairCache

SIZE, OWNERS = 60, "abc"
keys, owners = st.integers(0, 40), st.sampled_from(OWNERS)
uses = st.lists(st.tuples(keys, owners, st.booleans()), max_size=120)


def weigh(key: int, _: int) -> int:
    return 1 + key % 7


@given(uses)
def test_weights_are_the_sums_of_the_items(steps: list[tuple[int, str, bool]]) -> None:
    kept: FairCache[int, int] = FairCache(SIZE, weigh)
    for key, owner, forgotten in steps:
        if forgotten:
            kept.forget(key)
        else:
            assert kept.get(key, lambda key=key: key * 2, owner) == key * 2  # type: ignore[misc]
        assert kept.weight == sum(weigh(k, v) for k, v in kept.items.items()) <= SIZE
        charged = {owner: sum(weigh(k, 0) for k in of) for owner, of in kept.owned.items()}
        assert charged == kept.weights
        assert {k: o for o, of in kept.owned.items() for k in of} == kept.owners


@given(st.lists(keys, max_size=8, unique=True), st.lists(st.integers(100, 400), max_size=120))
def test_small_owner_loses_nothing_to_a_large_one(own: list[int], flood: list[int]) -> None:
    kept: FairCache[int, int] = FairCache(2 * SIZE, weigh)
    for key in own:
        kept.keep(key, key, "a")
    for key in flood:
        kept.get(key, lambda: 0, "b")
    assert all(kept.recall(key, "a") == key for key in own)


def test_without_owners_the_least_recently_used_is_evicted() -> None:
    kept: FairCache[str, int] = FairCache(2)
    kept.keep("a", 1)
    kept.keep("b", 2)
    assert kept.recall("a") == 1
    kept.keep("c", 3)
    assert list(kept.items) == ["a", "c"]


def test_shared_item_is_charged_to_the_smallest_owner() -> None:
    """A flood by the first owner of a page does not evict the page from the others."""
    kept: FairCache[str, int] = FairCache(10)
    kept.keep("page", 1, "hostile")
    kept.keep("another", 1, "hostile")
    assert kept.recall("page", "client") == 1
    for number in range(50):
        kept.keep(f"flood {number}", number, "hostile")
    assert kept.recall("page", "client") == 1
    assert kept.recall("another") is None


async def test_failed_item_is_made_again_by_the_next_caller() -> None:
    kept: FairCache[str, int] = FairCache(10)
    tries: list[str] = []

    async def make() -> int:
        tries.append("try")
        await asyncio.sleep(0)
        if len(tries) == 1:
            raise ValueError("the first fails")
        return 7

    made = await asyncio.gather(
        *(kept.awaited("key", make) for _ in range(5)), return_exceptions=True
    )
    assert isinstance(made[0], ValueError)
    assert made[1:] == [7] * 4
    assert len(tries) == 2
    with pytest.raises(KeyError):
        kept.pending["key"]


def test_pinned_items_stay_and_take_no_room() -> None:
    kept: FairCache[str, int] = FairCache(2)
    kept.keep("pinned", 0)
    kept.pin("pinned", 1)
    for key in "abcde":
        kept.keep(key, 2, "a")
        assert kept.recall("pinned", "a") == kept.get("pinned", lambda: 0, "b") == 1
    kept.forget("pinned")
    kept.clear()
    assert (kept.items, kept.weight, kept.owners) == ({"pinned": 1}, 0, {})
