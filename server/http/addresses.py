"""Origins, host names and the server's own address, as the settings name them.

Each is compared with what browsers send, letter by letter. So what no browser sends is refused,
rather than taken and never matched.
"""

import re
from ipaddress import IPv6Address
from urllib.parse import SplitResult, urlsplit

from identity.post import is_this_machine

ANY = "*"
DEFAULT_PORTS = {"http": 80, "https": 443}
NAME = re.compile(r"(?!.*\.\.)[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
# With a path where a proxy gives the server one; nothing in it needs escaping in JSON.
PATH = re.compile(r"(/[A-Za-z0-9._~/-]*)?")


def parse_origin(text: str) -> str:
    """Return an origin as browsers write it; ValueError where it is none."""
    if text == ANY:
        return text
    url = split(text)
    if not url.scheme or not url.netloc:
        raise ValueError(f"has {text}, which is no origin: write https://portal.example.com")
    if url.path or url.query or url.fragment or "@" in url.netloc:
        raise ValueError(f"has {text}: an origin ends with its host or port")
    return f"{url.scheme}://{host_and_port(url, text)}"


def parse_host(text: str) -> str:
    """Return a host name, `*.` before one, or `*`; ValueError where it is none of these."""
    if text == ANY:
        return text
    if "://" in text:
        raise ValueError(f"has {text}: write the host's name alone, without https://")
    address = ipv6(text.strip("[]"))
    if address is not None:
        return f"[{address}]"
    if ":" in text:
        raise ValueError(f"has {text}: write the host's name alone, without its port")
    return ("*." if text.startswith("*.") else "") + named(text.removeprefix("*."), text)


def parse_public_url(text: str) -> str:
    """Return the address that browsers know this server by; ValueError where it is none."""
    url = split(text)
    is_whole = url.scheme in DEFAULT_PORTS and PATH.fullmatch(url.path) and "@" not in url.netloc
    if not is_whole or url.query or url.fragment or not url.hostname:
        raise ValueError("is not an address as https://api.example.com")
    if url.scheme == "http" and not is_this_machine(url.hostname):
        raise ValueError("begins with http://: tokens and links need https://, but on this machine")
    return f"{url.scheme}://{host_and_port(url, text)}{url.path.rstrip('/')}"


def split(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        raise ValueError("has an address with a port or a host that can't be") from None
    return url


def host_and_port(url: SplitResult, text: str) -> str:
    """Return the host, and the port where it isn't the scheme's own."""
    address = ipv6(url.hostname or "")
    host = f"[{address}]" if address is not None else named(url.hostname or "", text)
    if not SCHEME.fullmatch(url.scheme):
        raise ValueError(f"has {text}, which is no address")
    is_default = url.port is None or DEFAULT_PORTS.get(url.scheme) == url.port
    return host if is_default else f"{host}:{url.port}"


def named(name: str, text: str) -> str:
    if not NAME.fullmatch(name.lower()):
        raise ValueError(f"has {text}: write a host's name in ASCII letters, an accent as xn--…")
    return name.lower()


def ipv6(text: str) -> IPv6Address | None:
    try:
        return IPv6Address(text)
    except ValueError:
        return None
