"""Addresses of documents: each is for one document and one viewer, for nine to ten minutes.

An address contains no credential. A key is derived for the viewer and the time of expiry. The
database signs each link with that key alone, in the statement that writes the page: the signature
is the SHA-256 of the key, the document's id and the way of opening it. An address has only one
spelling, so nothing can be added to the signed text.
"""

import datetime as dt
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from models import DocumentKind

# The longest time; a minute less at the least, so that pages of the same minute are the same.
LASTS = dt.timedelta(minutes=10)
# The prefixes of document ids.
PREFIXES = {
    "inv": DocumentKind.INVOICE,
    "stm": DocumentKind.STATEMENT,
    "sbl": DocumentKind.SUPERBILL,
    "rct": DocumentKind.RECEIPT,
}
UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# The only spelling of an address: any other one is not ours.
WRITTEN = re.compile(
    f"(?P<document>(?P<prefix>{'|'.join(PREFIXES)})_(?P<id>{UUID}))/(?P<way>print|download)"
    rf"\?viewer=(?P<viewer>{UUID})&expires=(?P<expires>[1-9][0-9]{{9}})"
    "&signature=(?P<signature>[0-9a-f]{64})"
)


def file_name(kind: DocumentKind, number: str) -> str:
    """Return the file name of a document."""
    return f"{kind.capitalize()} {number}.pdf"


@dataclass(frozen=True)
class Links:
    """The links of one viewer that expire at one time. `base` is the server's own address."""

    base: str
    secret: str
    viewer_id: str
    expires_at: dt.datetime

    @cached_property
    def key(self) -> str:
        """Return the key that signs links, 64 digits, known only to the server and its database."""
        told = f"document link\n{self.viewer_id}\n{self.expires}"
        return hmac.digest(self.secret.encode(), told.encode(), "sha256").hex()

    @property
    def expires(self) -> int:
        """Return the time of expiry in Unix time."""
        return int(self.expires_at.timestamp())

    @property
    def stem(self) -> str:
        """Return the part of an address before the document's id."""
        return f"{self.base}/documents/"

    @property
    def query(self) -> str:
        """Return the part of an address before the signature."""
        return f"?viewer={self.viewer_id}&expires={self.expires}&signature="

    def signature(self, document: str, way: str) -> str:
        """Return the signature, as the database writes it (resolvers/document_links.py)."""
        return hashlib.sha256(f"{self.key}{document}/{way}".encode()).hexdigest()


@dataclass(frozen=True)
class LinkTarget:
    """The target of an address, and the viewer that it was made for. `document` is the API's id."""

    document: str
    kind: DocumentKind
    id: str
    is_download: bool
    viewer_id: str


@dataclass(frozen=True)
class Signer:
    """A maker and verifier of links. `older` are secrets that signed links before a rotation."""

    base: str
    secret: str
    older: Sequence[str] = ()

    def links(self, viewer_id: str, now: dt.datetime) -> Links:
        """Return the viewer's links, which are the same within a minute."""
        begun = now.replace(second=0, microsecond=0)
        return Links(self.base, self.secret, viewer_id, begun + LASTS)

    def read(self, address: str, now: dt.datetime) -> LinkTarget | None:
        """Return the link of an address, from the document's id on, or None if the address is
        altered, invented or too old.
        """
        written = WRITTEN.fullmatch(address)
        if written is None:
            return None
        expires_at = dt.datetime.fromtimestamp(int(written["expires"]), dt.UTC)
        if not self.is_signed(written, expires_at) or not now < expires_at <= now + LASTS:
            return None
        is_download = written["way"] == "download"
        kind = PREFIXES[written["prefix"]]
        return LinkTarget(written["document"], kind, written["id"], is_download, written["viewer"])

    def is_signed(self, written: re.Match[str], expires_at: dt.datetime) -> bool:
        """Return whether one of the secrets signed an address."""
        for secret in (self.secret, *self.older):
            links = Links(self.base, secret, written["viewer"], expires_at)
            signature = links.signature(written["document"], written["way"])
            if hmac.compare_digest(signature, written["signature"]):
                return True
        return False
