"""Signing in by e-mail: who asks for a link, the links that were made, and tries that failed."""

import datetime as dt

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped

from models.row import Count, Key, Reference, Row, of_practice, refers

WAITING = text("done_at IS NULL")


class SignInRequest(Row):
    """Somebody asks for a link to an address, known or not. The row is the outbox: it waits until
    the mail is sent, or the link would have expired.

    It is of no practice: whose the address is, is found out afterwards.
    """

    __tablename__ = "sign_in_request"
    __table_args__ = (
        Index(
            "ix_sign_in_request_waiting", "due_at", postgresql_where=WAITING, sqlite_where=WAITING
        ),
        # Both count what was asked of late, in all practices.
        Index(None, "email_hash", "created_at"),
        Index(None, "address_hash", "created_at"),
    )

    id: Mapped[Key]
    # As it was typed, until it is done with; none: it can't be an address.
    email: Mapped[str | None]
    # Keyed hashes of the address and of the network address that it was asked from.
    email_hash: Mapped[str]
    address_hash: Mapped[str | None]
    nonce_hash: Mapped[str]
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    # Whether a mail may be sent, or too many were asked for; none: not decided yet.
    is_allowed: Mapped[bool | None]
    tries: Mapped[Count]
    # When a worker may begin with it.
    due_at: Mapped[dt.datetime]
    # Until when a worker has it, by the database's clock.
    leased_until: Mapped[dt.datetime | None]
    done_at: Mapped[dt.datetime | None]


class SignInLink(Row):
    """The one link that signs a client or a contact in: a newer one takes its place."""

    __tablename__ = "sign_in_link"
    __table_args__ = (
        of_practice(),
        refers("client", "client_id"),
        refers("contact", "contact_id"),
        UniqueConstraint("practice_id", "client_id"),
        UniqueConstraint("practice_id", "contact_id"),
        # Found by it in all practices: whoever has the secret doesn't say which.
        UniqueConstraint("secret_hash"),
        CheckConstraint("(client_id IS NULL) <> (contact_id IS NULL)", name="one_subject"),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    client_id: Mapped[Reference | None]
    contact_id: Mapped[Reference | None]
    secret_hash: Mapped[str]
    # Of the page that asked: nobody else can use the link.
    nonce_hash: Mapped[str]
    # When the request was made that it answers: an older one's doesn't take its place.
    requested_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    used_at: Mapped[dt.datetime | None]


class SignInFailure(Row):
    """A try to sign in that failed, by the keyed hash of where it came from."""

    __tablename__ = "sign_in_failure"
    __table_args__ = (Index(None, "address_hash", "failed_at"),)

    id: Mapped[Key]
    address_hash: Mapped[str]
    failed_at: Mapped[dt.datetime]
