"""Network between the portal and a database: a TCP proxy in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"
CHUNK = 2**16

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Link:
    """A connection through the network."""

    def __init__(self, client: Streams, server: Streams, light: asyncio.Event) -> None:
        self.client, self.server, self.light = client, server, light
        # A dead link accepts bytes, and forwards none.
        self.is_dead = not light.is_set()

    async def run(self) -> None:
        """Forward in both directions until one side ends."""
        (from_client, to_client), (from_server, to_server) = self.client, self.server
        pumps = [
            asyncio.ensure_future(self.pump(from_client, to_server)),
            asyncio.ensure_future(self.pump(from_server, to_client)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # First, since this task may be cancelled while it waits for the others.
            self.reset()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while True:
            with suppress(ConnectionError):
                part = await source.read(CHUNK)
                if part and not self.is_dead:
                    sink.write(part)
                    await sink.drain()
                    continue
                if part:
                    continue
            # TCP repeats the end of a side until it is acknowledged.
            await self.light.wait()
            return

    def reset(self) -> None:
        for _, writer in (self.client, self.server):
            writer.transport.abort()


class Network:
    """A proxy of connections to a server. `target`: the URL of a server on a Unix socket."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.light = asyncio.Event()
        self.light.set()
        self.links: set[Link] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def url(self, database_url: str) -> str:
        """Return the URL of the target's database through the network."""
        parts = urlsplit(database_url)
        user = parts.netloc.rpartition("@")[0] or "postgres"
        return f"postgresql://{user}@{HOST}:{self.port}{parts.path}"

    def darken(self) -> None:
        """Drop every byte from now on, without notifying either side.

        Existing connections stay dead after `lighten`, like those that a firewall has forgotten.
        """
        self.light.clear()
        for link in self.links:
            link.is_dead = True

    def lighten(self) -> None:
        """Forward new connections again."""
        self.light.set()

    def cut(self) -> None:
        """Reset every connection."""
        for link in list(self.links):
            link.reset()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server = await asyncio.open_unix_connection(socket_of(self.target))
        except OSError:
            writer.transport.abort()
            return
        link = Link((reader, writer), server, self.light)
        self.links.add(link)
        try:
            await link.run()
        finally:
            self.links.discard(link)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self.serve(reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        # Also where the task was cancelled before it began.
        task.add_done_callback(lambda _: writer.transport.abort())


def socket_of(url: str) -> str:
    """Return the path of the Unix socket of a PostgreSQL URL with `host` and `port` parameters."""
    parameters = parse_qs(urlsplit(url).query)
    return f"{parameters['host'][0]}/.s.PGSQL.{parameters.get('port', ['5432'])[0]}"


@asynccontextmanager
async def network(target: str) -> AsyncIterator[Network]:
    """Yield a network to the server of this URL."""
    made = Network(target)
    listener = await asyncio.start_server(made.accept, HOST, 0)
    made.port = listener.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listener.close()
        for task in list(made.tasks):
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
