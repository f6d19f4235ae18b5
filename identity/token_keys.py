"""Keys of stored hashes: the first one hashes, and each of them is tried in a look-up.

A stored hash begins with the id of its key, so that the rows of an older key can be counted.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

ID_LENGTH = 8


@lru_cache(100)
def key_id(key: str) -> str:
    """Return a key's id. It does not reveal the key."""
    return keyed_digest("key id", key).hex()[:ID_LENGTH]


def keyed_digest(text: str, key: str) -> bytes:
    return hmac.digest(key.encode(), text.encode(), "sha256")


def hashed(text: str, key: str) -> str:
    """Return the hash that the database stores. It is useless without the key, which
    isn't there.
    """
    return f"{key_id(key)}:{keyed_digest(text, key).hex()}"


@dataclass(frozen=True)
class TokenKeys:
    """The keys of TOKEN_KEY: one, or during a rotation several."""

    newest: str
    older: Sequence[str] = ()

    @property
    def each(self) -> tuple[str, ...]:
        return self.newest, *self.older

    @property
    def ids(self) -> list[str]:
        return [key_id(key) for key in self.each]

    def hashed(self, text: str) -> str:
        """Return the hash of a new row."""
        return hashed(text, self.newest)

    def hashes(self, text: str) -> tuple[str, ...]:
        """Return the hashes under which a row may be stored, the newest key's first."""
        return tuple(hashed(text, key) for key in self.each)

    def key_of(self, stored: str) -> str:
        """Return the key of a stored hash, or the newest key if the hash has none of them."""
        id_ = stored.partition(":")[0]
        return next((key for key in self.each if key_id(key) == id_), self.newest)
