"""Disconnects of clients: a read for a client that has gone is cancelled."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Receive

# Most reads end before this delay, without listening for a disconnect.
LISTENS_AFTER_S = 0.05


class Disconnected(Exception):
    """The client has closed its connection before the response."""


@contextmanager
def cancelled_on_disconnect(receive: Receive) -> Iterator[None]:
    """Cancel the block once the client has closed its connection, and raise Disconnected.

    The request's body has to be received before. The block must not change any data.
    """
    task = asyncio.current_task()
    assert task is not None
    listener = Listener(task, receive)
    timer = asyncio.get_running_loop().call_later(LISTENS_AFTER_S, listener.start)
    try:
        yield
    except asyncio.CancelledError:
        # If the task was cancelled for another reason too, it stays cancelled.
        if listener.has_cancelled and task.uncancel() == 0:
            raise Disconnected from None
        raise
    finally:
        timer.cancel()
        listener.stop()


class Listener:
    """A listener for a client's disconnect, which then cancels a task."""

    def __init__(self, task: asyncio.Task[object], receive: Receive) -> None:
        self.task, self.receive = task, receive
        self.listening: asyncio.Task[None] | None = None
        self.has_cancelled = False

    def start(self) -> None:
        self.listening = asyncio.create_task(self.listen())

    async def listen(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.has_cancelled = True
        self.task.cancel()

    def stop(self) -> None:
        if self.listening is not None:
            self.listening.cancel()
