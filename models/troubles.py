"""Troubles that last: each is logged once, however often it is met."""

from collections import OrderedDict
from collections.abc import Hashable

# How many are remembered; beyond that the oldest is logged once more when it is met again.
REMEMBERED = 10_000


class Troubles:
    """Troubles that were met and are not over, by a key each."""

    def __init__(self) -> None:
        self.known: OrderedDict[Hashable, None] = OrderedDict()

    def is_new(self, key: Hashable) -> bool:
        """Return whether the trouble was not met before, and remember it."""
        if key in self.known:
            self.known.move_to_end(key)
            return False
        self.known[key] = None
        if len(self.known) > REMEMBERED:
            self.known.popitem(last=False)
        return True

    def end(self, key: Hashable) -> None:
        """Forget a trouble that is over."""
        self.known.pop(key, None)
