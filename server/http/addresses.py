"""Origins and host names, as the settings name them.

Each value is later compared literally with browsers' headers. So a value that no browser sends is
refused here, instead of never matching.
"""

from billing.public_urls import host_and_port, hostname, ipv6, split

ANY = "*"


def parse_origin(text: str) -> str:
    """Return an origin as browsers write it. Raise ValueError for any other text."""
    if text == ANY:
        return text
    url = split(text)
    if not url.scheme or not url.netloc:
        raise ValueError(f"has {text}, which is not an origin: write https://portal.example.com")
    if url.path or url.query or url.fragment or "@" in url.netloc:
        raise ValueError(f"has {text}: an origin ends with its host or port")
    return f"{url.scheme}://{host_and_port(url, text)}"


def parse_host(text: str) -> str:
    """Return a host name, one with the prefix `*.`, or `*`. Raise ValueError for any other text."""
    if text == ANY:
        return text
    if "://" in text:
        raise ValueError(f"has {text}: write the host's name alone, without https://")
    address = ipv6(text.strip("[]"))
    if address is not None:
        return f"[{address}]"
    if ":" in text:
        raise ValueError(f"has {text}: write the host's name alone, without its port")
    return ("*." if text.startswith("*.") else "") + hostname(text.removeprefix("*."), text)
