"""Deliveries of all events of a practice."""

from typing import Any

from tests.support.event_receiver import OK, Received
from tests.support.webhooks import HookDesk


async def accepting(_: Received) -> bytes:
    """Answer any message as received."""
    return OK


async def is_done(hooks: HookDesk, endpoint: Any) -> bool:
    found, *_, last = await hooks.endpoint(endpoint.id), *await hooks.events()
    return (found.after_version, found.after_position) >= (last.version, last.position)


async def deliver_all(hooks: HookDesk, *added: Any, within: int = 1_000) -> None:
    """Give turns until the endpoints have all events."""
    worker = hooks.worker()
    for _ in range(within):
        if all([await is_done(hooks, endpoint) for endpoint in added]):
            return
        await worker.give_turns()
    raise AssertionError("not delivered")


async def enter_some(hooks: HookDesk, count: int) -> None:
    for number in range(count):
        await hooks.desk.invoice(100 + number)
