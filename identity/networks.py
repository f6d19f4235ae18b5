"""Networks that requests come from, in one spelling each."""

from ipaddress import IPv6Address, IPv6Network, ip_address

# A provider gives a household, or a rented server, at least this many addresses.
IPV6_PREFIX = 64


def network(host: str) -> str:
    """Return what a host is counted by: an IPv4 address, or an IPv6 address's network.

    Anything that isn't an address stays as it is: a proxy may name something else.
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
