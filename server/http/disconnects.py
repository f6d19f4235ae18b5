"""Disconnects of clients: a read for a client that has gone is cancelled."""

import asyncio

from starlette.types import Receive

# Most reads end before this delay, without listening for a disconnect.
LISTENS_AFTER_S = 0.05


class Disconnected(Exception):
    """The client has closed its connection before the response."""


class CancelledOnDisconnect:
    """Context that is cancelled once the client has closed its connection: it raises Disconnected.

    The request's body has to be received before. The context must not change any data.
    """

    __slots__ = ("has_cancelled", "listening", "receive", "task", "timer")

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.listening: asyncio.Task[None] | None = None
        self.has_cancelled = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.timer = asyncio.get_running_loop().call_later(LISTENS_AFTER_S, self.start)

    def __exit__(self, type_: type[BaseException] | None, *_: object) -> None:
        self.timer.cancel()
        if self.listening is not None:
            self.listening.cancel()
        is_cancelled = type_ is not None and issubclass(type_, asyncio.CancelledError)
        # If the task was cancelled for another reason too, it stays cancelled.
        if is_cancelled and self.has_cancelled and self.task.uncancel() == 0:
            raise Disconnected from None

    def start(self) -> None:
        self.listening = asyncio.create_task(self.listen())

    async def listen(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.has_cancelled = True
        self.task.cancel()
