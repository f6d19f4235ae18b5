"""Fields that are encrypted at rest: a clinician's or practice's tax id."""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class FieldKeys:
    """Encrypts with the first of its keys and reads with any, so that keys can be changed.

    A key is Fernet's: 32 bytes in URL-safe base64. Anything else is a ValueError.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self.fernet = MultiFernet([Fernet(key) for key in keys]) if keys else None

    def encrypted(self, text: str) -> bytes:
        assert self.fernet is not None
        return self.fernet.encrypt(text.encode())

    def read(self, encrypted: bytes) -> str | None:
        """The text; None where none of the keys made it."""
        try:
            return self.fernet.decrypt(encrypted).decode() if self.fernet else None
        except InvalidToken:
            return None
