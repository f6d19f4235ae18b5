"""Networks of requests, in one spelling each."""

from ipaddress import IPv6Address, IPv6Network, ip_address

# A provider assigns at least this many addresses to a household, or a rented server.
IPV6_PREFIX = 64


def network(host: str) -> str:
    """Return the key that a host is counted by: an IPv4 address, or an IPv6 address's network.

    Any other text is returned unchanged, since a proxy may name something else.
    """
    try:
        address = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Network((address, IPV6_PREFIX), strict=False))
    return str(address)
