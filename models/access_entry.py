"""The audit log of access: reads, changes, sign-ins and refusals, with their actors."""

import datetime as dt
import enum

from sqlalchemy import JSON, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.append_only import APPEND_ONLY
from models.row import Count, Key, Reference, Row, choice


class ActorKind(enum.StrEnum):
    """Kinds of viewers, and the operator at the command line."""

    CLIENT = "CLIENT"
    CONTACT = "CONTACT"
    DASHBOARD = "DASHBOARD"
    INTEGRATION = "INTEGRATION"
    OPERATOR = "OPERATOR"


class AccessAction(enum.StrEnum):
    """Kinds of actions on a client's data."""

    READ = "READ"
    CHANGE = "CHANGE"
    SIGN_IN = "SIGN_IN"
    SIGN_OUT = "SIGN_OUT"
    REFUSED = "REFUSED"


class AccessEntry(Row):
    """One access to the data of a client, or of the whole practice.

    Rows are only added: the database refuses every change. There are no foreign keys, because their
    checks would wait for locked rows, and an access has to be recorded even while another
    transaction works on the client.
    """

    __tablename__ = "access_entry"
    __table_args__ = (
        Index(None, "practice_id", "client_id", "id"),
        APPEND_ONLY,
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    # None: the whole practice, or no client in particular.
    client_id: Mapped[Reference | None]
    # None: the operator at the command line, who has no token.
    token_id: Mapped[Reference | None]
    # The client or contact that acted, since a token may be used for several persons.
    actor_id: Mapped[Reference | None]
    # The actor's kind, and name at the time.
    kind: Mapped[ActorKind] = mapped_column(choice(ActorKind, "kind"))
    name: Mapped[str]
    action: Mapped[AccessAction] = mapped_column(choice(AccessAction, "action"))
    # The operation's name, or the command.
    operation: Mapped[str | None]
    # All the personal fields that were requested, as `Client.balance`.
    fields: Mapped[list[str]] = mapped_column(JSON)
    # For the whole practice: the variables, and the number of rows returned. For a refusal: the ids
    # that are not visible, and their number.
    arguments: Mapped[str | None]
    count: Mapped[Count | None]
    address_hash: Mapped[str | None]
    at: Mapped[dt.datetime]
