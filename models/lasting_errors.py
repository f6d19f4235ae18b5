"""Persistent failures and their counts. Each is logged once."""

from collections import OrderedDict
from collections.abc import Hashable

# The number of remembered failures; beyond it the oldest would be logged once more.
REMEMBERED = 10_000


class LastingErrors:
    """The known failures that are not over, by key."""

    def __init__(self) -> None:
        self.known: OrderedDict[Hashable, int] = OrderedDict()

    def meet(self, key: Hashable) -> int:
        """Count a failure, and return how often it was met, including now."""
        times = self.known[key] = self.known.get(key, 0) + 1
        self.known.move_to_end(key)
        if len(self.known) > REMEMBERED:
            self.known.popitem(last=False)
        return times

    def is_new(self, key: Hashable) -> bool:
        """Count a failure, and return whether it is new."""
        return self.meet(key) == 1

    def end(self, key: Hashable) -> None:
        """Forget a failure that is over."""
        self.known.pop(key, None)
