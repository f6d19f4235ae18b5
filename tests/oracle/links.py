"""Links to documents: their permission, expiry and signature."""

import datetime as dt
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

from tests.oracle.shown import Shown

# The address of the server under test, and its secret.
ADDRESS, SECRET = "https://portal.example/api", "what links are signed with"


@dataclass(frozen=True)
class Paper:
    """A document by its API id, and its file name."""

    id: str
    name: str


class DocumentLink(Shown):
    """The link of a Paper."""

    @property
    def expires_at(self) -> dt.datetime:
        now: dt.datetime = self.world.now
        return now.replace(second=0, microsecond=0) + dt.timedelta(seconds=600)

    def address(self, way: str) -> str:
        expires = str(int(self.expires_at.timestamp()))
        message = "\n".join(("document link", self.world.token_id, expires))
        key = hmac.new(SECRET.encode(), message.encode(), hashlib.sha256).hexdigest()
        signature = hashlib.sha256(f"{key}{self.row.id}/{way}".encode()).hexdigest()
        known = {"viewer": self.world.token_id, "expires": expires, "signature": signature}
        query = "&".join(f"{name}={value}" for name, value in known.items())
        return f"{ADDRESS}/documents/{self.row.id}/{way}?{query}"

    @property
    def print_url(self) -> str:
        return self.address("print")

    @property
    def download_url(self) -> str:
        return self.address("download")

    @property
    def file_name(self) -> str:
        return f"{self.row.name}.pdf"


def paper(document: Any, title: str) -> Paper:
    return Paper(document.id, f"{title} {document.row.number}")
