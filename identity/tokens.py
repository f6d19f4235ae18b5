"""Tokens: their text, their hash, and how they are issued and revoked."""

import datetime as dt
import re
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, insert, or_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from identity.token_keys import hashed, keyed_digest
from models import Client, Contact, Row, Scope, Token, ViewerKind
from models.ids import new_id

PREFIX = "cbp_"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# 43 characters of 62 hold 256 bits; the last six are a checksum. So a scanner for leaked secrets
# can recognise a token, and a typing error is found, without a query.
SECRET_LENGTH, CHECKSUM_LENGTH = 43, 6
WRITTEN = re.compile(f"{PREFIX}([0-9A-Za-z]{{{SECRET_LENGTH}}})([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})")

# A sign-in ends after this time without a request.
IDLE = dt.timedelta(minutes=15)

# The scopes of clients and contacts, for their own data.
PERSONAL_SCOPES = (Scope.BILLING_READ, Scope.DOCUMENTS_READ, Scope.PHI_READ)


def new_secret() -> str:
    """Return a new token's text, which only its bearer may know."""
    return token_text(random_text())


def derived(key: str, *secret: str) -> str:
    """Return the token's text that is derived from a secret: always the same one.

    So a lost response can be repeated, though only the text's hash is stored.
    """
    value, letters = int.from_bytes(keyed_digest(" ".join(("token", *secret)), key)), ""
    for _ in range(SECRET_LENGTH):
        value, letter = divmod(value, len(ALPHABET))
        letters += ALPHABET[letter]
    return token_text(letters)


def token_text(secret: str) -> str:
    return f"{PREFIX}{secret}{checksum(secret)}"


def random_text() -> str:
    """Return 256 random bits as text."""
    return "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))


def checksum(secret: str) -> str:
    value, letters = zlib.crc32(secret.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        value, letter = divmod(value, len(ALPHABET))
        letters = ALPHABET[letter] + letters
    return letters


def is_well_formed(token: str) -> bool:
    """Return whether the text has the form and the checksum of a token."""
    match = WRITTEN.fullmatch(token)
    return match is not None and checksum(match[1]) == match[2]


def is_valid_token(token: Any, now: Any, idle_since: Any) -> ColumnElement[bool]:
    """Return whether a token is valid. A sign-in must also have been used recently.

    `idle_since` is the earliest last use of a valid sign-in.
    """
    used = or_(~token.c.is_sign_in, token.c.last_used_at > idle_since)
    return and_(token.c.revoked_at.is_(None), token.c.expires_at > now, used)


def has_address(
    token: Any, kind: ViewerKind | None = None, practice_id: Any = None
) -> ColumnElement[bool]:
    """Return whether a sign-in's person still has the address that signed in.

    Other tokens have no address. With `kind` only one kind of viewer is checked. With `practice_id`
    people are looked up in this practice, else in the token's.
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


# -- issuing and revoking --------------------------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    """The owner of a token: a client, a contact, or (neither) a program of the practice."""

    practice_id: str
    client_id: str | None = None
    contact_id: str | None = None

    @property
    def kind(self) -> ViewerKind:
        """Return the kind of viewer; for a program, that of one that only reads."""
        if self.client_id:
            return ViewerKind.CLIENT
        return ViewerKind.CONTACT if self.contact_id else ViewerKind.DASHBOARD


def kind_with_scopes(subject: Subject, scopes: frozenset[Scope]) -> ViewerKind:
    """Return the kind of viewer that a token is for. A program that writes is an integration."""
    is_writer = subject.kind is ViewerKind.DASHBOARD and Scope.BILLING_WRITE in scopes
    return ViewerKind.INTEGRATION if is_writer else subject.kind


async def create_token(
    conn: AsyncConnection,
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
    """Create a token. Return its id and its text, which is never shown again.

    `secret` is a derived text. With `email`, a mailbox, the token is a sign-in.
    """
    secret, id_, is_sign_in = secret or new_secret(), new_id(), email is not None
    await conn.execute(
        insert(Token).values(
            practice_id=subject.practice_id,
            id=id_,
            kind=kind_with_scopes(subject, scopes),
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


async def revoke_tokens(
    conn: AsyncConnection, which: ColumnElement[bool], now: dt.datetime
) -> Sequence[Any]:
    """Revoke all valid tokens of a selection. Return their rows."""
    working = and_(which, Token.revoked_at.is_(None), Token.expires_at > now)
    revoked = update(Token).where(working).values(revoked_at=now)
    return (await conn.execute(revoked.returning(*Token.__table__.c))).all()


async def revoke_token(conn: AsyncConnection, id_: str, now: dt.datetime) -> bool:
    """Revoke a token from its next request on. Return whether it was valid."""
    working = and_(Token.id == id_, Token.revoked_at.is_(None), Token.expires_at > now)
    result = await conn.execute(update(Token).where(working).values(revoked_at=now))
    return bool(result.rowcount)
