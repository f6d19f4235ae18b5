"""Encryption of fields at rest: the tax id of a clinician or a practice."""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class FieldKeys:
    """A set of Fernet keys: the first one encrypts, and any of them decrypts, so keys can be
    rotated.

    A key is 32 bytes in URL-safe base64. Any other key raises ValueError.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self.newest = Fernet(keys[0]) if keys else None
        self.fernet = MultiFernet([Fernet(key) for key in keys]) if keys else None

    def encrypted(self, text: str) -> bytes:
        assert self.fernet is not None
        return self.fernet.encrypt(text.encode())

    def is_newest(self, encrypted: bytes) -> bool:
        """Return whether the first key encrypted a text."""
        try:
            return self.newest is not None and bool(self.newest.decrypt(encrypted))
        except InvalidToken:
            return False

    def read(self, encrypted: bytes) -> str | None:
        """Return the decrypted text, or None if no key fits."""
        try:
            return self.fernet.decrypt(encrypted).decode() if self.fernet else None
        except InvalidToken:
            return None
