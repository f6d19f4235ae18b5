"""Addresses of documents: each is for one document and one viewer, for ten minutes.

No credential is in an address. A key is made for the viewer and the moment of expiry; the database,
whose one statement writes a page with all its links, signs each with that key alone: SHA-256 of the
key, the document's id and the way in which it opens. An address is written in one way only, so
nothing can be added to what was signed.
"""

import datetime as dt
import hashlib
import hmac
import re
from dataclasses import dataclass
from functools import cached_property

from models import DocumentKind

LASTS = dt.timedelta(minutes=10)
# How ids of documents begin.
PREFIXES = {
    "inv": DocumentKind.INVOICE,
    "stm": DocumentKind.STATEMENT,
    "sbl": DocumentKind.SUPERBILL,
    "rct": DocumentKind.RECEIPT,
}
UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# The one way in which an address is written: whatever else says the same is none of ours.
WRITTEN = re.compile(
    f"(?P<document>(?P<prefix>{'|'.join(PREFIXES)})_(?P<id>{UUID}))/(?P<way>print|download)"
    rf"\?viewer=(?P<viewer>{UUID})&expires=(?P<expires>[1-9][0-9]{{9}})"
    "&signature=(?P<signature>[0-9a-f]{64})"
)


def file_name(kind: DocumentKind, number: str) -> str:
    """What a document is saved as."""
    return f"{kind.capitalize()} {number}.pdf"


@dataclass(frozen=True)
class Links:
    """The links of one viewer that work until one moment. `base`: the server's own address."""

    base: str
    secret: str
    viewer_id: str
    expires_at: dt.datetime

    @cached_property
    def key(self) -> str:
        """What documents are signed with, 64 digits: known to the server and its database alone."""
        told = f"document link\n{self.viewer_id}\n{self.expires}"
        return hmac.digest(self.secret.encode(), told.encode(), "sha256").hex()

    @property
    def expires(self) -> int:
        """The moment in Unix time."""
        return int(self.expires_at.timestamp())

    @property
    def stem(self) -> str:
        """What stands before a document's id."""
        return f"{self.base}/documents/"

    @property
    def query(self) -> str:
        """What stands before a document's signature."""
        return f"?viewer={self.viewer_id}&expires={self.expires}&signature="

    def signature(self, document: str, way: str) -> str:
        """As the database writes it (resolvers/links.py)."""
        return hashlib.sha256(f"{self.key}{document}/{way}".encode()).hexdigest()


@dataclass(frozen=True)
class Link:
    """What an address of ours asks for, and for whom it was made. `document` is the API's id."""

    document: str
    kind: DocumentKind
    id: str
    is_download: bool
    viewer_id: str


@dataclass(frozen=True)
class Signer:
    """Makes links, and knows its own again."""

    base: str
    secret: str

    def links(self, viewer_id: str, now: dt.datetime) -> Links:
        return Links(self.base, self.secret, viewer_id, now.replace(microsecond=0) + LASTS)

    def read(self, address: str, now: dt.datetime) -> Link | None:
        """The link of an address, from the document's id on; None where it is altered, made up, or
        too old."""
        written = WRITTEN.fullmatch(address)
        if written is None:
            return None
        expires_at = dt.datetime.fromtimestamp(int(written["expires"]), dt.UTC)
        links = Links(self.base, self.secret, written["viewer"], expires_at)
        signature = links.signature(written["document"], written["way"])
        is_signed = hmac.compare_digest(signature, written["signature"])
        if not is_signed or not now < expires_at <= now + LASTS:
            return None
        is_download = written["way"] == "download"
        kind = PREFIXES[written["prefix"]]
        return Link(written["document"], kind, written["id"], is_download, written["viewer"])
