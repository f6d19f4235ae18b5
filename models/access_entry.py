"""The record of access: who looked at whose data, or changed it."""

import datetime as dt

from sqlalchemy import DDL, JSON, Index, event
from sqlalchemy.orm import Mapped, mapped_column

from models.row import Count, Key, Reference, Row, choice, refers
from models.token import ViewerKind


class AccessEntry(Row):
    """An operation that read or changed something of a client, or over the whole practice. It is
    only ever added: the database refuses every change of it."""

    __tablename__ = "access_entry"
    __table_args__ = (
        refers("client", "client_id"),
        refers("token", "token_id"),
        Index(None, "practice_id", "client_id", "id"),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    # None: over the whole practice.
    client_id: Mapped[Reference | None]
    token_id: Mapped[Reference]
    # Who bore the token, as they were called then.
    kind: Mapped[ViewerKind] = mapped_column(choice(ViewerKind, "kind"))
    name: Mapped[str]
    operation: Mapped[str | None]
    # What was asked for, as `Client.balance`.
    fields: Mapped[list[str]] = mapped_column(JSON)
    # Over the whole practice: with which variables, and how many rows were shown.
    arguments: Mapped[str | None]
    count: Mapped[Count | None]
    is_change: Mapped[bool]
    address_hash: Mapped[str | None]
    at: Mapped[dt.datetime]


# Said once for the mapped class and the migration; by dialect, in their order.
APPEND_ONLY: dict[str, tuple[str, ...]] = {
    "sqlite": tuple(
        f"CREATE TRIGGER access_entry_{change.lower()} BEFORE {change} ON access_entry"
        " BEGIN SELECT RAISE(ABORT, 'access_entry is append only'); END"
        for change in ("UPDATE", "DELETE")
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'access_entry is append only'; END $$",
        "CREATE TRIGGER access_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE"
        " ON access_entry FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
        "REVOKE UPDATE, DELETE, TRUNCATE ON access_entry FROM CURRENT_USER",
    ),
}
for dialect, statements in APPEND_ONLY.items():
    for statement in statements:
        made = DDL(statement).execute_if(dialect=dialect)  # type: ignore[no-untyped-call]
        event.listen(AccessEntry.__table__, "after_create", made)
