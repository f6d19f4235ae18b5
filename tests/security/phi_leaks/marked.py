"""A practice in two versions: the same ids, days and amounts, but each health text is a unique
marker.
"""

import datetime as dt
import hashlib
import itertools
import json
import random
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import models
from identity.token_keys import hashed
from identity.tokens import PREFIX, SECRET_LENGTH, checksum
from models import ACTIVE_STATES, READ_SCOPES, Scope, ViewerKind
from models.names import fold_name, name_parts
from tests.security.isolation.households import family
from tests.support.portal import KEY
from tests.support.practices.bookkeeping import Books, Entered
from tests.support.practices.random_values import MOMENT, NOW

# In both alphabetical orders, and of different lengths.
WORDS = ("Quökkà", "Ågoutipaca")
MARKER = re.compile("|".join(f"{fold_name(word)}[0-9]{{4}}" for word in WORDS))
# Days and times that occur only in marked rows of care.
BORN, BEGAN, LASTED = dt.date(1901, 2, 3), dt.datetime(1902, 3, 4, tzinfo=dt.UTC), 987_654
TELLING = re.compile(r"1901-02-|1902-03-|987654")
COMBINING = re.compile("[\u0300-\u036f]")
HEX = re.compile(r"\b(?:[0-9a-f]{2}){8,}\b")
ADDRESS = tuple(f"address_{part}" for part in ("line1", "line2", "city", "region", "postal_code"))
# The columns of each table that contain health information.
TEXTS: dict[type[models.Row], tuple[str, ...]] = {
    models.Client: ("name", "email", "phone", *ADDRESS),
    models.Contact: ("name", "email"),
    models.Session: ("description", "service_code"),
    models.Invoice: ("client_name", "notes"),
    models.InvoiceLine: ("description", "service_code"),
    models.LedgerEntry: ("description",),
    models.Statement: ("client_name",),
    models.StatementLine: ("description",),
    models.Superbill: ("client_name", *ADDRESS),
    models.SuperbillLine: ("cpt_code",),
    models.SuperbillDiagnosis: ("code", "description"),
    models.PaymentMethod: ("cardholder_name", "billing_zip"),
    models.AccessEntry: ("name",),
}
OTHERS: dict[type[models.Row], dict[str, Any]] = {
    models.Client: {"date_of_birth": BORN},
    models.Session: {"starts_at": BEGAN, "duration_minutes": LASTED},
    models.Superbill: {"client_date_of_birth": BORN},
}
# The letterhead of a superbill names the therapist; that of an invoice names the practice.
OF_PROVIDERS = ("name", "credentials", "licence_number", "phone", *ADDRESS)
Rows = dict[type[models.Row], list[Entered]]
WITHOUT = READ_SCOPES - {Scope.PHI_READ}
# A program that also enters data.
WRITING = WITHOUT | {Scope.BILLING_WRITE}
HELD = (WITHOUT, *(frozenset({scope}) for scope in sorted(WRITING)), frozenset[Scope]())


# The texts of programs' tokens, the same in both practices; the last may read everything.
TOKENS = {
    held: f"{PREFIX}{letter * SECRET_LENGTH}{checksum(letter * SECRET_LENGTH)}"
    for held, letter in zip((*HELD, WRITING, frozenset(Scope)), "abcdefgh", strict=True)
}


@dataclass(frozen=True)
class World:
    """The rows of a practice, and its markers."""

    rows: Rows
    markers: tuple[str, ...]

    def ids(self, model: type[models.Row]) -> list[str]:
        return [row["id"] for row in self.rows[model]]

    def client_without_payment_under_way(self) -> str:
        paying = {
            row["client_id"] for row in self.rows[models.Payment] if row["state"] in ACTIVE_STATES
        }
        return next(id_ for id_ in self.ids(models.Client) if id_ not in paying)

    def of_client(self, model: type[models.Row], client_id: str) -> list[str]:
        """Return ids of the client's rows and then of all others. Void invoices and payments by
        Stripe, which nothing can be entered for, come last.
        """

        def place(row: Entered) -> tuple[bool, bool]:
            ended = row.get("is_void") or row.get("stripe_id") is not None
            return row["client_id"] != client_id, bool(ended)

        return [row["id"] for row in sorted(self.rows[model], key=place)]


def world(word: str, *, backward: bool) -> World:
    books = family(random.Random("marked"), "USD")
    provider = books.enter(models.Letterhead, name="", address_country="US")
    for superbill in books.rows[models.Superbill]:
        superbill["letterhead_id"] = provider["id"]
    end_payments(books, books.rows[models.Client][-1]["id"])
    bear(books)
    numbers = map(abs, itertools.count(-9_999 if backward else 1_000))
    markers = []

    def mark(row: Entered, *names: str) -> None:
        for name in names:
            marker = f"{word}{next(numbers)}"
            row[name] = f"{marker}@example.org" if name == "email" else marker
            markers.append(marker)

    for model, names in TEXTS.items():
        # An order that does not depend on the texts.
        for row in sorted(books.rows[model], key=lambda row: str(row.get("id"))):
            mark(row, *names)
            row.update(OTHERS.get(model, {}))
            if "address_line1" in names:
                row["address_country"] = "US"
    for line in books.rows[models.SuperbillLine]:
        modifier: Entered = {}
        mark(modifier, "text")
        line["modifiers"] = [fold_name(modifier["text"])]
    mark(provider, *OF_PROVIDERS)
    books.rows[models.ClientNamePart].clear()
    for client in books.rows[models.Client]:
        client["folded_name"] = fold_name(client["name"])
        books.rows[models.ClientNamePart] += name_parts(client)
    return World(dict(books.rows), tuple(markers))


def end_payments(books: Books, client_id: str) -> None:
    """Cancel the payments under way of one client, for whom entries can then be made."""
    for payment in books.rows[models.Payment]:
        if payment["client_id"] == client_id and payment["state"] in ACTIVE_STATES:
            payment["state"] = models.PaymentState.CANCELED
    claims = books.rows[models.Claim]
    claims[:] = [claim for claim in claims if claim["client_id"] != client_id]


def bear(books: Books) -> None:
    """Insert programs' tokens, and audit entries of reads by one of them."""
    for held, text in TOKENS.items():
        row = books.enter(
            models.Token,
            kind=(ViewerKind.INTEGRATION if Scope.BILLING_WRITE in held else ViewerKind.DASHBOARD),
            name="Dashboard",
            hash=hashed(text, KEY),
            scopes=sorted(held),
            is_sign_in=False,
            created_at=MOMENT,
            expires_at=NOW + dt.timedelta(days=1),
        )
    for client in books.rows[models.Client]:
        books.enter(
            models.AccessEntry,
            client_id=client["id"],
            token_id=row["id"],
            kind=ViewerKind.CLIENT,
            fields=["Client.name"],
            action=models.AccessAction.READ,
            at=MOMENT,
        )


# -- leaks in a response ---------------------------------------------------------------------------


def told_by(text: str, hashes: frozenset[str]) -> set[str]:
    """Return the markers in a text: plain or folded, escaped, in hexadecimal or hashed."""
    found = {marker for one in readings(text) for marker in MARKER.findall(plain(one))}
    found |= set(TELLING.findall(text))
    return found | {one for one in re.findall(r"\b[0-9a-f]{32,128}\b", text) if one in hashes}


def readings(text: str) -> Iterator[str]:
    yield text
    if text.startswith("{"):
        yield json.dumps(json.loads(text), ensure_ascii=False)
    for run in HEX.findall(text.lower()):
        yield bytes.fromhex(run).decode(errors="replace")


def plain(text: str) -> str:
    """Return a text without case and accents, as `fold_name` does."""
    return COMBINING.sub("", unicodedata.normalize("NFKD", text.casefold()))


def hashes_of(markers: Iterable[str]) -> frozenset[str]:
    """Return the hashes of all markers, by which a known name could be recognised."""
    return frozenset(
        hashlib.new(kind, form.encode()).hexdigest()
        for marker in markers
        for form in {marker, marker.lower(), fold_name(marker)}
        for kind in ("md5", "sha1", "sha256", "sha512")
    )
