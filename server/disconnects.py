"""Disconnects of clients: a read that nobody waits for any more is cancelled."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Receive

# Most reads are answered before this, and nobody listens for their clients.
LISTENS_AFTER_S = 0.05


class Disconnected(Exception):
    """The client has closed its connection before it was answered."""


@contextmanager
def cancelled_on_disconnect(receive: Receive) -> Iterator[None]:
    """Cancel what is awaited inside once the client has closed its connection: Disconnected.

    The request's body was received before. Nothing that changes anything belongs inside.
    """
    task = asyncio.current_task()
    assert task is not None
    listener = Listener(task, receive)
    timer = asyncio.get_running_loop().call_later(LISTENS_AFTER_S, listener.start)
    try:
        yield
    except asyncio.CancelledError:
        # Where somebody else has cancelled the task as well, it stays cancelled.
        if listener.has_cancelled and task.uncancel() == 0:
            raise Disconnected from None
        raise
    finally:
        timer.cancel()
        listener.stop()


class Listener:
    """Waits for the message that tells of a disconnect, and then cancels a task."""

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
