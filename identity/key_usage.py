"""The use of token keys by stored rows: the valid rows whose hash has an older key."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from identity.token_keys import ID_LENGTH
from models import SignInLink, SignInRequest, Token


@dataclass(frozen=True)
class KeyUse:
    """The number of valid rows whose hash has a key, and the expiry of the last one."""

    count: int
    until: dt.datetime


# For each kind of row, the uses by the id of a key.
KeyUses = Mapping[str, Mapping[str, KeyUse]]


async def uses_of_keys(conn: AsyncConnection, now: dt.datetime) -> KeyUses:
    """Return the uses of all keys, known or not, by the kind of row."""
    valid = Token.revoked_at.is_(None)
    return {
        "tokens": await uses_in(conn, Token, Token.hash, now, valid, ~Token.is_sign_in),
        "sign-ins": await uses_in(conn, Token, Token.hash, now, valid, Token.is_sign_in),
        "sign-in mails": await uses_in(
            conn, SignInLink, SignInLink.secret_hash, now, SignInLink.used_at.is_(None)
        ),
        "requests for mails": await uses_in(conn, SignInRequest, SignInRequest.nonce_hash, now),
    }


async def uses_in(
    conn: AsyncConnection, table: Any, stored: Any, now: dt.datetime, *where: Any
) -> Mapping[str, KeyUse]:
    """Return the uses of keys by the unexpired rows of a table."""
    id_ = func.substr(stored, 1, ID_LENGTH)
    statement = (
        select(id_, func.count(), func.max(table.expires_at))
        .where(table.expires_at > now, *where)
        .group_by(id_)
    )
    return {row[0]: KeyUse(row[1], row[2]) for row in await conn.execute(statement)}
