"""A ZIP file whose bytes are taken as they are made, so that none of them has to be kept."""

import zipfile
from contextlib import AbstractContextManager
from typing import IO


class ZipStream:
    """A ZIP file of one entry after the other."""

    def __init__(self) -> None:
        self.made = Made()
        self.archive = zipfile.ZipFile(self.made, "w", zipfile.ZIP_DEFLATED)

    def entry(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Open a compressed entry for writing."""
        return self.archive.open(name, "w", force_zip64=True)

    def add(self, name: str, content: bytes, *, is_compressed: bool = False) -> None:
        """Add a whole entry. Content that is compressed already is stored as it is."""
        method = zipfile.ZIP_STORED if is_compressed else zipfile.ZIP_DEFLATED
        self.archive.writestr(name, content, method)

    def take(self) -> bytes:
        """Return the bytes that were made since the last call."""
        return self.made.take()

    def close(self) -> None:
        self.archive.close()


class Made:
    """A file that is only written to, from which the bytes are taken."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, content: bytes) -> int:
        self.parts.append(bytes(content))
        return len(content)

    def flush(self) -> None:
        """Do nothing: no bytes are held back."""

    def close(self) -> None:
        """Do nothing: what was made can still be taken."""

    def take(self) -> bytes:
        taken = b"".join(self.parts)
        self.parts.clear()
        return taken
