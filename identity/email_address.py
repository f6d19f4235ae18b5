"""E-mail addresses: exactly one in a text."""

from email.errors import MessageError
from email.headerregistry import Address

# RFC 5321 allows no longer address.
LONGEST = 254


def parse_address(text: str) -> str | None:
    """Return the address, if the text is exactly one and nothing else."""
    written = text.strip()
    try:
        address = Address(addr_spec=written)
    except (ValueError, IndexError, MessageError):
        return None
    is_whole = bool(address.username and address.domain) and address.addr_spec == written
    return written if is_whole and written.isprintable() and len(written) <= LONGEST else None
