"""Documents that clients ask for by an id instead of their text.

They come from manifests, which are read at the start. Nothing is added while the server runs.
"""

import enum
import hashlib
from collections.abc import Iterable, Iterator

# The prefix of an id that is the hash of the text, by the appendix "Persisted Documents" of GraphQL
# over HTTP. Apollo sends the same hash without the prefix.
HASH_PREFIX = "sha256:"


class TrustedDocumentsMode(enum.StrEnum):
    """The documents that are answered: also those of manifests, or only those."""

    ALSO = "also"
    ONLY = "only"


class ContradictoryIds(Exception):
    """An id that has two texts. The exception's text is the id."""


class TrustedDocuments:
    """The texts of trusted documents by their ids.

    Each text also has its hash as an id, with and without the prefix.
    """

    def __init__(
        self,
        documents: Iterable[tuple[str, str]] = (),
        mode: TrustedDocumentsMode = TrustedDocumentsMode.ALSO,
    ) -> None:
        """Raise ContradictoryIds if two of the documents, each an id and a text, share an id."""
        self.only = mode is TrustedDocumentsMode.ONLY
        self.by_id: dict[str, str] = {}
        # In the order of the manifests.
        self.texts: dict[str, None] = {}
        for id_, text in documents:
            hash_ = text_hash(text)
            for each in (id_, hash_, HASH_PREFIX + hash_):
                if self.by_id.setdefault(each, text) != text:
                    raise ContradictoryIds(each)
            self.texts[text] = None

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self) -> Iterator[str]:
        """Yield the texts."""
        return iter(self.texts)

    def find(self, id_: str) -> str | None:
        """Return the text of an id, or None."""
        return self.by_id.get(id_)

    def allows(self, text: str) -> bool:
        """Return whether a document with this text may be answered."""
        return not self.only or text in self.texts


def text_hash(text: str) -> str:
    """Return the SHA-256 hash of a text in UTF-8, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


# For a server without manifests.
NO_DOCUMENTS = TrustedDocuments()
