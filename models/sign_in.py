"""Signing in by e-mail: requests for a mail, the links that were sent, and counters of limits."""

import datetime as dt

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.row import Count, Key, Reference, Row, practice_reference, refers

WAITING = text("done_at IS NULL")


class SignInRequest(Row):
    """A request for a sign-in mail to an address, known or not.

    The row is the outbox: it waits until the mail is sent or the request has expired. It belongs to
    no practice, because the address is looked up afterwards.
    """

    __tablename__ = "sign_in_request"
    __table_args__ = (
        UniqueConstraint("nonce_hash"),
        Index(
            "ix_sign_in_request_waiting", "turn_at", postgresql_where=WAITING, sqlite_where=WAITING
        ),
    )

    id: Mapped[Key]
    # The address as typed, until the request is done; None if it can't be an address.
    email: Mapped[str | None]
    # Keyed hashes of the address, and of the network of the request.
    email_hash: Mapped[str]
    address_hash: Mapped[str | None]
    # The nonce of the requesting page: no other page can use the link.
    nonce_hash: Mapped[str]
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    # False: no mail was sent, because the address got several recently. The page may use the link
    # of another request instead.
    is_mailed: Mapped[bool]
    # The number of codes tried.
    code_tries: Mapped[Count]
    # The order of waiting requests: a network's next request comes a little later.
    turn_at: Mapped[dt.datetime]
    # The number of tries to mail, and the time of the next one.
    tries: Mapped[Count]
    due_at: Mapped[dt.datetime]
    # The end of the worker's lease, by the database's clock.
    leased_until: Mapped[dt.datetime | None]
    done_at: Mapped[dt.datetime | None]


class SignInLink(Row):
    """A link and a code that were sent to an address, for one practice."""

    __tablename__ = "sign_in_link"
    __table_args__ = (
        practice_reference(),
        refers("token", "token_id"),
        # A repeated try of the same mail replaces the previous link.
        UniqueConstraint("practice_id", "nonce_hash"),
        # Secrets and nonces are looked up in all practices, since a page names none.
        UniqueConstraint("secret_hash"),
        CheckConstraint(
            "(used_at IS NULL) = (token_id IS NULL)"
            " AND (used_at IS NULL) = (used_nonce_hash IS NULL)",
            name="used_has_a_token",
        ),
        Index(None, "nonce_hash"),
        Index(None, "practice_id", "email"),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    # The mailbox, and its hash as in the request.
    email: Mapped[str]
    email_hash: Mapped[str]
    secret_hash: Mapped[str]
    # The nonce of the requesting page: the mail's code works in that page alone.
    nonce_hash: Mapped[str]
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    # The time of use, the nonce of the page that used it, and the resulting token.
    used_at: Mapped[dt.datetime | None]
    used_nonce_hash: Mapped[str | None]
    token_id: Mapped[Reference | None]


class SignInLimit(Row):
    """A counter of a limit: the time until which it is filled, in milliseconds since 1970."""

    __tablename__ = "sign_in_limit"

    # The limit's name, and a keyed hash of the counted subject.
    name: Mapped[str] = mapped_column(primary_key=True)
    key_hash: Mapped[str] = mapped_column(primary_key=True)
    spent_until_ms: Mapped[int]
