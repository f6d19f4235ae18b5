"""Troubles that last: how often each was met. Each is logged once, however often that is."""

from collections import OrderedDict
from collections.abc import Hashable

# How many are remembered; beyond that the oldest is logged once more when it is met again.
REMEMBERED = 10_000


class Troubles:
    """Troubles that were met and are not over, by a key each."""

    def __init__(self) -> None:
        self.known: OrderedDict[Hashable, int] = OrderedDict()

    def meet(self, key: Hashable) -> int:
        """Count a trouble, and return how often it was met until now."""
        times = self.known[key] = self.known.get(key, 0) + 1
        self.known.move_to_end(key)
        if len(self.known) > REMEMBERED:
            self.known.popitem(last=False)
        return times

    def is_new(self, key: Hashable) -> bool:
        """Count a trouble, and return whether it was not met before."""
        return self.meet(key) == 1

    def end(self, key: Hashable) -> None:
        """Forget a trouble that is over."""
        self.known.pop(key, None)
