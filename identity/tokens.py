"""Tokens: how one is written, kept as a hash, given out and taken back."""

import datetime as dt
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, insert, or_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from models import Client, Contact, Row, Scope, Token, ViewerKind
from models.ids import new_id

PREFIX = "cbp_"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# 43 letters of 62 are 256 bits; the last six are a checksum, so that a scanner for leaked secrets
# or a slip of the hand is told from a token without asking the database.
SECRET_LENGTH, CHECKSUM_LENGTH = 43, 6
WRITTEN = re.compile(f"{PREFIX}([0-9A-Za-z]{{{SECRET_LENGTH}}})([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})")

# After so long without a request a sign-in is over.
IDLE = dt.timedelta(minutes=15)

# Everything of one's own: what clients and contacts may read.
PERSONAL_SCOPES = (Scope.BILLING_READ, Scope.DOCUMENTS_READ, Scope.PHI_READ)


def new_secret() -> str:
    """A token's text, which only its bearer is to know."""
    return text(random_text())


def derived(key: str, *secret: str) -> str:
    """Return the token's text that follows from something secret: always the same one.

    So an answer that was lost can be given again, though only the text's hash was kept.
    """
    value, letters = int(hashed(" ".join(("token", *secret)), key), 16), ""
    for _ in range(SECRET_LENGTH):
        value, letter = divmod(value, len(ALPHABET))
        letters += ALPHABET[letter]
    return text(letters)


def text(secret: str) -> str:
    return f"{PREFIX}{secret}{checksum(secret)}"


def random_text() -> str:
    """256 bits that nobody guesses."""
    return "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))


def checksum(secret: str) -> str:
    value, letters = zlib.crc32(secret.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        value, letter = divmod(value, len(ALPHABET))
        letters = ALPHABET[letter] + letters
    return letters


def is_written_right(token: str) -> bool:
    """Whether the text can be a token at all."""
    found = WRITTEN.fullmatch(token)
    return found is not None and checksum(found[1]) == found[2]


def hashed(token: str, key: str) -> str:
    """What the database keeps: without the key, which isn't there, it tells nothing."""
    return hmac.digest(key.encode(), token.encode(), "sha256").hex()


def works(token: Any, now: Any, idle_since: Any) -> ColumnElement[bool]:
    """Whether a token of the table lets its bearer in: a sign-in, only if it was used of late.

    `idle_since` is so long before `now` as a sign-in may be idle.
    """
    used = or_(~token.c.is_sign_in, token.c.last_used_at > idle_since)
    return and_(token.c.revoked_at.is_(None), token.c.expires_at > now, used)


def has_address(
    token: Any, kind: ViewerKind | None = None, practice_id: Any = None
) -> ColumnElement[bool]:
    """Return whether a sign-in's person still has the address that signed in.

    Other tokens are of no address. With `kind` it is asked of one kind of viewer alone. With
    `practice_id` people are of this practice, else of the token's.
    """
    practice_id = token.c.practice_id if practice_id is None else practice_id
    tables: dict[ViewerKind, type[Row]] = {ViewerKind.CLIENT: Client, ViewerKind.CONTACT: Contact}
    found = []
    for of_kind, model in tables.items():
        if kind in (None, of_kind):
            person: Any = model.__table__.alias()
            found.append(
                exists().where(
                    person.c.practice_id == practice_id,
                    person.c.id == token.c[f"{of_kind.lower()}_id"],
                    person.c.mailbox == token.c.email,
                )
            )
    return or_(~token.c.is_sign_in, *found)


# -- giving out and taking back --------------------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    """Whom a token is for: a client, a contact, or (neither) a dashboard of the practice."""

    practice_id: str
    client_id: str | None = None
    contact_id: str | None = None

    @property
    def kind(self) -> ViewerKind:
        if self.client_id:
            return ViewerKind.CLIENT
        return ViewerKind.CONTACT if self.contact_id else ViewerKind.DASHBOARD


async def create(
    connection: AsyncConnection,
    key: str,
    subject: Subject,
    name: str,
    scopes: frozenset[Scope],
    now: dt.datetime,
    lasts: dt.timedelta,
    *,
    secret: str | None = None,
    email: str | None = None,
) -> tuple[str, str]:
    """A new token's id and its text, which is shown this once.

    `secret` is a text that was derived. With `email`, a mailbox, the token is a sign-in's.
    """
    secret, id_, is_sign_in = secret or new_secret(), new_id(), email is not None
    await connection.execute(
        insert(Token).values(
            practice_id=subject.practice_id,
            id=id_,
            kind=subject.kind,
            client_id=subject.client_id,
            contact_id=subject.contact_id,
            name=name,
            hash=hashed(secret, key),
            scopes=sorted(scopes),
            created_at=now,
            expires_at=now + lasts,
            last_used_at=now if is_sign_in else None,
            is_sign_in=is_sign_in,
            email=email,
        )
    )
    return id_, secret


async def revoke(connection: AsyncConnection, id_: str, now: dt.datetime) -> bool:
    """Stops the token from its next request on; whether there was such a one still working."""
    working = and_(Token.id == id_, Token.revoked_at.is_(None), Token.expires_at > now)
    found = await connection.execute(update(Token).where(working).values(revoked_at=now))
    return bool(found.rowcount)
