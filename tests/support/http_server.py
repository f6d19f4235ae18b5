"""Server of an ASGI application on a real socket, as `portal serve` runs it, and raw clients."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.types import ASGIApp

from server.http.connections import ConnectionLimits
from server.http.serving import uvicorn_options

# Seconds, far more than any response takes.
SOON_S = 60


class Server(uvicorn.Server):
    """Server that does not install signal handlers."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class Listening:
    """A listening server and its address."""

    server: Server
    port: int
    clients: list["Client"] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connect(self) -> "Client":
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client

    async def ask(self, content: bytes) -> bytes:
        """Send bytes on a new connection, and return the whole response until the
        connection ends.
        """
        client = await self.connect()
        await client.send(content)
        answer = await client.rest()
        client.close()
        return answer


class Client:
    """Client that may write any bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, content: bytes) -> None:
        self.writer.write(content)
        await self.writer.drain()

    async def rest(self) -> bytes:
        """Return the received bytes until the connection ends."""
        return await asyncio.wait_for(self.until_end(), SOON_S)

    async def until_end(self) -> bytes:
        answer = b""
        try:
            while piece := await self.reader.read(2**16):
                answer += piece
        except ConnectionError:
            pass
        return answer

    async def answer(self) -> tuple[int, bytes]:
        """Return the status and the body of one response with a length."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), SOON_S)
        lines = head.lower().split(b"\r\n")
        length = next(line for line in lines if line.startswith(b"content-length:"))
        body = await asyncio.wait_for(self.reader.readexactly(int(length.split(b":")[1])), SOON_S)
        return int(head.split()[1]), body

    def close(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def listening(
    application: ASGIApp,
    limits: ConnectionLimits | None = None,
    public_url: str = "http://127.0.0.1",
) -> AsyncIterator[Listening]:
    """Serve an application, without running its lifespan."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        given = uvicorn_options(limits or ConnectionLimits(), public_url)
        config = uvicorn.Config(application, lifespan="off", log_config=None, **given)
        server = Server(config)
        running = asyncio.create_task(server.serve([sock]))
        await until(lambda: server.started)
        listening = Listening(server, sock.getsockname()[1])
        try:
            yield listening
        finally:
            for client in listening.clients:
                client.close()
            server.should_exit = True
            for connection in list(server.server_state.connections):
                connection.transport.abort()
            await asyncio.wait_for(running, SOON_S)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not is_so():  # noqa: ASYNC110 (there is no event)
            await asyncio.sleep(0.01)


def status(answer: bytes) -> int:
    """Return the status of a response."""
    return int(answer.split()[1])
