"""Network addresses of clients, from the X-Forwarded-For of trusted proxies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

EVERYBODY = "*"
# The addresses of connections that are remembered.
REMEMBERED = 4_096
# No address with its port is longer.
LONGEST = 64


@dataclass(frozen=True)
class Proxies:
    """The trusted proxies: networks, or every client."""

    networks: Sequence[IPv4Network | IPv6Network] = ()
    is_everybody: bool = False

    def __contains__(self, host: str) -> bool:
        return self.is_everybody or self.is_trusted(host)

    @cached_property
    def is_trusted(self) -> Callable[[str], bool]:
        """Return the function that looks up an address, and remembers the last ones."""

        @lru_cache(REMEMBERED)
        def found(host: str) -> bool:
            address = normal(host)
            return address is not None and any(
                ip_address(address) in network for network in self.networks
            )

        return found

    def client(self, peer: str, forwarded: str) -> str:
        """Return the address of the client behind a proxy.

        Each proxy appends the address of its own client, so the list is read from its end, as long
        as the addresses belong to proxies. If every client is trusted as a proxy, only the last
        entry counts: a client may have written all the others.
        """
        client = peer
        for entry in reversed(forwarded.split(",")):
            address = normal(entry)
            if address is None:
                break
            client = address
            if self.is_everybody or address not in self:
                break
        return client


def parse_proxies(written: Sequence[str]) -> Proxies:
    """Parse addresses and networks, or `*`. Raise ValueError for any other text."""
    if EVERYBODY in written:
        if len(written) > 1:
            raise ValueError("has * beside addresses")
        return Proxies(is_everybody=True)
    return Proxies([ip_network(part) for part in written])


def normal(entry: str) -> str | None:
    """Return the canonical form of an address without its port, or None for any other text."""
    host = entry.strip()[:LONGEST]
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


class ForwardedAddress:
    """Middleware that replaces a trusted proxy's address by its client's address."""

    def __init__(self, app: ASGIApp, proxies: Proxies) -> None:
        self.app, self.proxies = app, proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if client and scope["type"] == "http" and client[0] in self.proxies:
            forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
            if forwarded:
                host = self.proxies.client(client[0], b",".join(forwarded).decode("latin-1"))
                scope["client"] = (host, 0)
        await self.app(scope, receive, send)
