"""Tokens of viewers. The database only contains their hashes."""

import datetime as dt
import enum

from sqlalchemy import JSON, CheckConstraint, Index, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import only_these
from models.row import Key, Reference, Row, choice, practice_reference, refers


class ViewerKind(enum.StrEnum):
    CLIENT = "CLIENT"
    CONTACT = "CONTACT"
    DASHBOARD = "DASHBOARD"
    INTEGRATION = "INTEGRATION"

    @property
    def is_program(self) -> bool:
        """Return whether this is a program of the practice, with access to all of its clients."""
        return self in (ViewerKind.DASHBOARD, ViewerKind.INTEGRATION)


class Scope(enum.StrEnum):
    BILLING_READ = "BILLING_READ"
    DOCUMENTS_READ = "DOCUMENTS_READ"
    PHI_READ = "PHI_READ"
    AGGREGATES_READ = "AGGREGATES_READ"
    BILLING_WRITE = "BILLING_WRITE"

    @property
    def written(self) -> str:
        """Return the scope as issued and shown: `billing:read`."""
        return self.value.lower().replace("_", ":")


# A dashboard has some of these. A program that also writes is an integration.
READ_SCOPES = frozenset(Scope) - {Scope.BILLING_WRITE}
IS_SIGN_IN = text("is_sign_in")


class Token(Row):
    """A credential of one viewer of one practice, found by its keyed hash in all practices."""

    __tablename__ = "token"
    __table_args__ = (
        practice_reference(),
        refers("client", "client_id"),
        refers("contact", "contact_id"),
        UniqueConstraint("hash"),
        *only_these("scopes", Scope),
        CheckConstraint(
            "(kind = 'CLIENT') = (client_id IS NOT NULL) AND"
            " (kind = 'CONTACT') = (contact_id IS NOT NULL)",
            name="one_subject",
        ),
        CheckConstraint(
            "(kind = 'INTEGRATION') = (CAST(scopes AS TEXT) LIKE '%\"BILLING_WRITE\"%')",
            name="integration_writes",
        ),
        # For the sign-ins of an address; other tokens are few.
        Index(
            "ix_token_sign_in",
            "practice_id",
            "email",
            postgresql_where=IS_SIGN_IN,
            sqlite_where=IS_SIGN_IN,
        ),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    kind: Mapped[ViewerKind] = mapped_column(choice(ViewerKind, "kind"))
    client_id: Mapped[Reference | None]
    contact_id: Mapped[Reference | None]
    name: Mapped[str]
    # HMAC-SHA-256 of the token, in hexadecimal.
    hash: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    revoked_at: Mapped[dt.datetime | None]
    # Accurate to some seconds; None if not used yet.
    last_used_at: Mapped[dt.datetime | None]
    # A sign-in ends when it is not used for some time; its creation counts as a use. A token from
    # the command line doesn't.
    is_sign_in: Mapped[bool] = mapped_column(default=False, server_default=false())
    # A sign-in's mailbox: it works while the client or contact has this address.
    email: Mapped[str | None]
