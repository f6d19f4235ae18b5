"""The addresses of endpoints: which URLs are accepted, and to which machines a message may go.

An endpoint's URL is the practice's choice. Without rules it could make this server send requests
to machines that only this server reaches. So a name is resolved here, its addresses are checked,
and the connection is made to a checked address, not to the name.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LONGEST_URL = 2_000
# A name in ASCII, or an address.
HOST = re.compile(rb"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
PORTS = {"https": 443, "http": 80}
# IPv4 addresses in IPv6, of networks that translate between the two.
TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
# Threads of their own: a receiver's name server may be slow, and others must not wait for it.
RESOLVER = ThreadPoolExecutor(16, thread_name_prefix="webhook-names")


class UnacceptedUrl(Exception):
    """A URL that is no endpoint's. The text is the reason, as the end of a sentence."""


class UnreachableName(Exception):
    """A name without an address to which a message may go. The text is the reason."""


@dataclass(frozen=True)
class AddressRules:
    """The kinds of URLs and addresses that are accepted besides public ones by HTTPS."""

    allows_http: bool = False
    allows_private: bool = False

    def parse(self, text: str) -> httpx.URL:
        """Return the URL of an endpoint, or raise UnacceptedUrl."""
        try:
            url = httpx.URL(text)
        except httpx.InvalidURL:
            raise UnacceptedUrl("is not a URL") from None
        if len(text) > LONGEST_URL:
            raise UnacceptedUrl(f"is longer than {LONGEST_URL:,} characters")
        if url.scheme != "https" and not (url.scheme == "http" and self.allows_http):
            raise UnacceptedUrl("does not begin with https://")
        if not HOST.fullmatch(url.raw_host):
            raise UnacceptedUrl("names no host")
        if url.userinfo or url.fragment:
            raise UnacceptedUrl("has a user, a password or a fragment")
        literal = address_in(url.host)
        if literal is not None and not self.accepts(literal):
            raise UnacceptedUrl("has an address that is not public")
        return url

    def accepts(self, address: Address) -> bool:
        return self.allows_private or is_public(address)

    async def resolve(self, url: httpx.URL) -> Sequence[Address]:
        """Return the addresses of a URL's host to which a message may go, at least one."""
        name = url.raw_host.decode("ascii")
        port = url.port or PORTS[url.scheme]
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                RESOLVER, lambda: socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
            )
        except (OSError, UnicodeError):
            raise UnreachableName("its name has no address") from None
        parsed = (address_in(str(where[0])) for *_, where in found)
        addresses = [one for one in parsed if one is not None and self.accepts(one)]
        if not addresses:
            raise UnreachableName("its address is not public")
        return list(dict.fromkeys(addresses))


def address_in(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Return whether an address is public, and the IPv4 address within it if there is one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.sixtofour, *(address.teredo or ())]
        if address in TRANSLATED:
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if not all(is_public(one) for one in inner if one is not None):
            return False
    return address.is_global and not address.is_multicast
