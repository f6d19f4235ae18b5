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
# Objects for a collection of the youngest generation, and collections of one generation for one of
# the next. Python's defaults are 700, 10 and 10.
THRESHOLDS = 10_000, 500, 10


class Pause:
    """A pause of automatic collections while a thread does such work, one thread at a time.

    A collection at the end of one thread's work would find the objects of another's in use. Threads
    that work by turns lose nothing: they share one interpreter.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Pause collections within the context, then collect the youngest generation."""
        with self.lock:
            gc.disable()
            try:
                yield
            finally:
                gc.enable()
                gc.collect(YOUNGEST)


pause = Pause()


def collect_rarely() -> None:
    """Have older generations collected rarely, in a process with many connections and documents.

    Most of the garbage has no cycles and needs no collection, so one mostly examines what is in
    use.
    """
    gc.set_threshold(*THRESHOLDS)
