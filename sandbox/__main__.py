"""The double as a separate process, for tests: `python -m sandbox --file FILE`."""

import argparse
import asyncio
import json
import socket
from typing import Any

import httpx
import uvicorn

from sandbox.app import app
from sandbox.deliveries import WebhookTarget, deliver
from sandbox.faults import CLOSE
from sandbox.store import Store


def main() -> None:
    parser = argparse.ArgumentParser(prog="sandbox", description=__doc__)
    parser.add_argument("--file", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--webhook", help="Where events are sent.")
    parser.add_argument("--secret", default="whsec_sandbox")
    given = parser.parse_args()
    # asyncio only disables Nagle's algorithm if the protocol is given explicitly.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", given.port))
    # The port is printed next, and may be connected to at once.
    listening.listen()
    print(json.dumps({"port": listening.getsockname()[1]}), flush=True)
    webhook = WebhookTarget(given.webhook, given.secret) if given.webhook else None
    asyncio.run(serve(Store(given.file), webhook, listening))


def closable(application: Any) -> Any:
    """Return an ASGI app with requests that can close their connection."""

    async def answered(scope: Any, receive: Any, send: Any) -> None:
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        if transport is not None:
            scope = scope | {CLOSE: transport.abort}
        await application(scope, receive, send)

    return answered


async def serve(store: Store, webhook: WebhookTarget | None, listening: socket.socket) -> None:
    config = uvicorn.Config(closable(app(store, controls=True)), log_level="error")
    async with httpx.AsyncClient() as client:
        sending = asyncio.create_task(deliver(store, webhook, client)) if webhook else None
        await uvicorn.Server(config).serve([listening])
        if sending is not None:
            sending.cancel()


if __name__ == "__main__":
    main()
