"""Garbage collection around work that leaves many cycles of objects.

Validating and planning a document make tens of thousands of objects that refer to one another. A
collection during the work finds them in use and moves them to the oldest generation. To free them
there, all objects of the process have to be examined, which holds the event loop for a tenth of a
second. So collections are paused during the work, and one of the youngest generation follows it.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

YOUNGEST = 0
# Collections of the middle generation between two of the oldest. Python's default is 10.
MIDDLE_FOR_OLDEST = 100


class Pause:
    """A pause of automatic collections while any thread does such work."""

    def __init__(self) -> None:
        self.lock, self.working = threading.Lock(), 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Pause collections within the context, then collect the youngest generation."""
        with self.lock:
            self.working += 1
            gc.disable()
        try:
            yield
        finally:
            with self.lock:
                self.working -= 1
                if not self.working:
                    gc.enable()
            gc.collect(YOUNGEST)


pause = Pause()


def collect_oldest_rarely() -> None:
    """Have the oldest generation collected rarely, in a process whose caches are large."""
    youngest, middle, _ = gc.get_threshold()
    gc.set_threshold(youngest, middle, MIDDLE_FOR_OLDEST)
