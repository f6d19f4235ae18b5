"""Limits on open connections, and on the time that a client may take for each part of a request.

A connection that waits for its client costs memory, and a slow client can't be told from an
attacker. So each connection has a deadline, and when all places are taken a new client gets the
place of the connection that has waited longest without a complete request.
"""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from identity.sign_in.networks import network
from server.http.proxies import Proxies, normal

NEVER = float("inf")
# Deadlines are checked this often, or four times within the shortest of them.
LOOKED_AT_S = 1.0
WARNED_EVERY_S = 60.0
# The addresses of connections that are remembered with the networks that they count for.
REMEMBERED = 4_096

log = logging.getLogger("portal")


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of one process, in connections and in seconds.

    `head_s` runs from the connection's start, or a request's first byte, to the end of its headers.
    `body_s` runs from there to the end of its body. `send_s` is the time without any progress of a
    response.
    """

    connections: int = 1_000
    per_address: int = 200
    head_s: float = 10
    body_s: float = 30
    send_s: float = 30
    keep_alive_s: int = 75
    proxies: Proxies = field(default_factory=Proxies)


class ClientConnection(Protocol):
    """A client's connection, as used by the limits."""

    host: str | None

    def end_late(self, now: float) -> None:
        """End the connection if it is past its deadline."""

    def drop(self) -> None:
        """End the connection at once, without an answer."""


class Connections:
    """The open connections of a process. Proxies have no limit by address."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.counted_as = lru_cache(REMEMBERED)(self.network_of)
        self.open: dict[ClientConnection, str | None] = {}
        self.of_network: Counter[str] = Counter()
        # Connections that wait for their client, the longest first: for the first request, and for
        # another one.
        self.unproven: dict[ClientConnection, None] = {}
        self.idle: dict[ClientConnection, None] = {}
        self.looking: asyncio.TimerHandle | None = None
        self.warned_at = -NEVER

    def admit(self, connection: ClientConnection, loop: asyncio.AbstractEventLoop) -> bool:
        """Add a new connection. Return False if there is no place for it."""
        network = self.counted_as(connection.host)
        if network is not None and self.of_network[network] >= self.limits.per_address:
            return self.refuse(loop, "a network address has too many connections")
        if len(self.open) >= self.limits.connections and not self.make_room():
            return self.refuse(loop, "there are too many connections")
        self.open[connection] = network
        self.unproven[connection] = None
        if network is not None:
            self.of_network[network] += 1
        if self.looking is None:
            self.look_later(loop)
        return True

    def network_of(self, host: str | None) -> str | None:
        """Return the network by which a client's connections are counted, or None for a proxy."""
        address = normal(host) if host is not None else None
        if address is None or address in self.limits.proxies:
            return None
        return network(address)

    def make_room(self) -> bool:
        """Drop the connection that has waited longest, if any waits."""
        waiting = next(iter(self.unproven), None) or next(iter(self.idle), None)
        if waiting is None:
            return False
        self.forget(waiting)
        waiting.drop()
        return True

    def refuse(self, loop: asyncio.AbstractEventLoop, why: str) -> bool:
        if loop.time() > self.warned_at + WARNED_EVERY_S:
            self.warned_at = loop.time()
            log.warning("a connection was refused: %s", why)
        return False

    def forget(self, connection: ClientConnection) -> None:
        network = self.open.pop(connection, None)
        self.unproven.pop(connection, None)
        self.idle.pop(connection, None)
        if network is not None:
            self.of_network[network] -= 1
            if not self.of_network[network]:
                del self.of_network[network]

    def works(self, connection: ClientConnection) -> None:
        """Note that a complete request has arrived and is being answered."""
        self.unproven.pop(connection, None)
        self.idle.pop(connection, None)

    def rests(self, connection: ClientConnection) -> None:
        """Note that the connection waits for another request."""
        if connection in self.open:
            self.idle[connection] = None

    # -- deadlines ---------------------------------------------------------------------------------

    def look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        limits = self.limits
        shortest = min(limits.head_s, limits.body_s, limits.send_s, limits.keep_alive_s)
        self.looking = loop.call_later(min(LOOKED_AT_S, shortest / 4), self.look, loop)

    def look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the connections that are past their deadlines."""
        self.looking = None
        now = loop.time()
        for connection in list(self.open):
            connection.end_late(now)
        if self.open:
            self.look_later(loop)
