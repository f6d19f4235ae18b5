"""A bounded cache that is fair to the owners of its items."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FairCache(Generic[K, V]):
    """A bounded mapping that evicts the least recently used items.

    `weigh` returns the part of the size that an item takes; the default is one. Every item is
    charged to an owner. If the total is too large, the owner with the largest share loses its
    oldest items, so an owner that fills the cache only loses its own. An item that several owners
    use is charged to one with a small share. A pinned item has no owner and stays.
    """

    def __init__(self, size: int, weigh: Callable[[K, V], int] = lambda *_: 1) -> None:
        self.size, self.weigh, self.weight = size, weigh, 0
        self.items: dict[K, V] = {}
        self.owners: dict[K, str] = {}
        # Each owner's keys, oldest first, and their total weight.
        self.owned: dict[str, OrderedDict[K, None]] = {}
        self.weights: dict[str, int] = {}
        # Items that `awaited` is making.
        self.pending: dict[K, asyncio.Future[None]] = {}

    def get(self, key: K, make: Callable[[], V], owner: str = "") -> V:
        """Return the item of the key. If there is none, make it and keep it."""
        if key in self.items:
            self.use(key, owner)
            return self.items[key]
        return self.keep(key, make(), owner)

    async def awaited(self, key: K, make: Callable[[], Awaitable[V]], owner: str = "") -> V:
        """Do as `get` does, with an asynchronous `make` that runs once for all waiting callers."""
        while key not in self.items and key in self.pending:
            await asyncio.wait([self.pending[key]])
        if key in self.items:
            self.use(key, owner)
            return self.items[key]
        self.pending[key] = made = asyncio.get_running_loop().create_future()
        try:
            return self.keep(key, await make(), owner)
        finally:
            del self.pending[key]
            made.set_result(None)

    def recall(self, key: K, owner: str = "") -> V | None:
        """Return the item of the key, or None."""
        if key in self.items:
            self.use(key, owner)
        return self.items.get(key)

    def pin(self, key: K, value: V) -> None:
        """Keep an item for good, in addition to the size."""
        self.forget(key)
        self.items[key] = value

    def forget(self, key: K) -> None:
        """Remove an item, unless it is pinned."""
        if key in self.owners:
            self.discharge(key)
            self.weight -= self.weigh(key, self.items.pop(key))

    def keep(self, key: K, value: V, owner: str = "") -> V:
        if key not in self.items:
            self.items[key] = value
            self.weight += self.weigh(key, value)
            self.charge(key, owner)
        while self.weight > self.size:
            heaviest = max(self.weights, key=self.weights.__getitem__)
            self.forget(next(iter(self.owned[heaviest])))
        return self.items.get(key, value)

    def clear(self) -> None:
        for key in list(self.items):
            self.forget(key)

    # -- owners ------------------------------------------------------------------------------------

    def use(self, key: K, owner: str) -> None:
        """Mark an item as most recently used, and charge it to this owner if that is fairer."""
        charged = self.owners.get(key)
        if charged is None:
            return
        if owner != charged:
            added = self.weights.get(owner, 0) + self.weigh(key, self.items[key])
            if added < self.weights[charged]:
                self.discharge(key)
                self.charge(key, owner)
                return
        self.owned[charged].move_to_end(key)

    def charge(self, key: K, owner: str) -> None:
        self.owners[key] = owner
        self.owned.setdefault(owner, OrderedDict())[key] = None
        self.weights[owner] = self.weights.get(owner, 0) + self.weigh(key, self.items[key])

    def discharge(self, key: K) -> None:
        owner = self.owners.pop(key)
        del self.owned[owner][key]
        self.weights[owner] -= self.weigh(key, self.items[key])
        if not self.owned[owner]:
            del self.owned[owner], self.weights[owner]
