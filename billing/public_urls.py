"""Public addresses of a server or a page: PUBLIC_URL, and a practice's `portal_url`.

Tokens and links that sign in are sent to them, so they need https, except on this machine.
"""

import re
from ipaddress import IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
NAME = re.compile(r"(?!.*\.\.)[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
# The path is for a server behind a path of a proxy. Its characters need no escaping in JSON.
PATH = re.compile(r"(/[A-Za-z0-9._~/-]*)?")


def parse_public_url(text: str) -> str:
    """Return an address as browsers write it. Raise ValueError for any other text, or an unsafe
    one.
    """
    url = split(text)
    is_whole = url.scheme in DEFAULT_PORTS and PATH.fullmatch(url.path) and "@" not in url.netloc
    if not is_whole or url.query or url.fragment or not url.hostname:
        raise ValueError("is not an address as https://api.example.com")
    if url.scheme == "http" and not is_this_machine(url.hostname):
        raise ValueError(
            "begins with http://: tokens and links need https://, except on this machine"
        )
    return f"{url.scheme}://{host_and_port(url, text)}{url.path.rstrip('/')}"


def is_this_machine(host: str) -> bool:
    """Return whether a host is this machine, which is reached without a network."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def split(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        raise ValueError("has an address with a port or a host that can't be") from None
    return url


def host_and_port(url: SplitResult, text: str) -> str:
    """Return the host, and the port unless it is the scheme's default."""
    address = ipv6(url.hostname or "")
    host = f"[{address}]" if address is not None else hostname(url.hostname or "", text)
    if not SCHEME.fullmatch(url.scheme):
        raise ValueError(f"has {text}, which is not an address")
    is_default = url.port is None or DEFAULT_PORTS.get(url.scheme) == url.port
    return host if is_default else f"{host}:{url.port}"


def hostname(name: str, text: str) -> str:
    if not NAME.fullmatch(name.lower()):
        raise ValueError(f"has {text}: write a host's name in ASCII letters, an accent as xn--…")
    return name.lower()


def ipv6(text: str) -> IPv6Address | None:
    try:
        return IPv6Address(text)
    except ValueError:
        return None
