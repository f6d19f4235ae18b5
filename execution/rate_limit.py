"""Rate limits per sender: a burst, then one action per interval."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

# Senders in the cache.
REMEMBERED = 10_000


class Allowance:
    """Counts the actions of senders, with one number each: the time when all of them are due."""

    def __init__(
        self, at_once: int, every_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.at_once, self.every_s, self.now = at_once, every_s, now
        self.due: OrderedDict[str, float] = OrderedDict()

    def take(self, sender: str) -> int:
        """Count an action and return 0, or return the seconds to wait until the next one."""
        now = self.now()
        due = max(self.due.get(sender, now), now)
        early = due - now - (self.at_once - 1) * self.every_s
        if early > 0:
            return math.ceil(early)
        self.due[sender] = due + self.every_s
        self.due.move_to_end(sender)
        if len(self.due) > REMEMBERED:
            self.due.popitem(last=False)
        return 0
