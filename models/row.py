"""The declarative base of all rows, and the types of columns.

Every table of a practice has `practice_id` first in its primary key, its indexes and its unique
constraints, and foreign keys are composite, so that no row can refer to another practice.
"""

import datetime as dt
import enum
from typing import Annotated, Any, ClassVar

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Date,
    DateTime,
    Dialect,
    Enum,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    Uuid,
    event,
)
from sqlalchemy.orm import DeclarativeBase, mapped_column
from sqlalchemy.types import TypeEngine

from models import append_only, row_security, version_triggers
from models.checks import Word, column_checks

# Text of 36 characters on SQLite, so that an id reads the same in both databases.
ID: TypeEngine[str] = Uuid(as_uuid=False).with_variant(String(36), "sqlite")

# Short enough for PostgreSQL, which truncates a name to 63 characters.
CONSTRAINT_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


# Text that is compared by its code points, in the same way on every server.
ByCode: TypeEngine[str] = Text().with_variant(Text(collation="C"), "postgresql")


class Instant(TypeDecorator[dt.datetime]):
    """A time: an aware datetime in UTC, which SQLite stores without its zone."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(dt.UTC).replace(tzinfo=None)

    def process_result_value(
        self, value: dt.datetime | None, dialect: Dialect
    ) -> dt.datetime | None:
        return value.replace(tzinfo=dt.UTC) if value and not value.tzinfo else value


Key = Annotated[str, mapped_column(ID, primary_key=True)]
Reference = Annotated[str, mapped_column(ID)]
# 32 bits, as GraphQL's Int.
Count = Annotated[int, mapped_column(Integer)]
Minor = Annotated[int, mapped_column(BigInteger)]
# An id or an account at Stripe.
ENCRYPTED = "encrypted"
# Text that FIELD_KEY encrypts. `portal keys rotate` finds such columns by this mark.
Encrypted = Annotated[bytes, mapped_column(LargeBinary, info={ENCRYPTED: True})]
StripeName = Annotated[str, mapped_column(Word)]


class Row(DeclarativeBase):
    """A row of a table.

    Each column has the checks of its type, and each table of a practice's rows has its policy. An
    append-only table has its triggers, and so has a table with versions.
    """

    metadata = MetaData(naming_convention=CONSTRAINT_NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        int: BigInteger,
        dt.date: Date,
        dt.datetime: Instant,
    }

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        table = cls.__table__
        assert isinstance(table, Table)
        for constraint in column_checks(table.columns):
            table.append_constraint(constraint)
        for statement in row_security.policy(table.name, table.columns):
            made = DDL(statement).execute_if(dialect="postgresql")  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", made)
        if append_only.is_append_only(table):
            event.listen(table, "after_create", protect)
        event.listen(table, "after_create", renew_versions_on_changes)


def protect(table: Table, conn: Connection, **_: Any) -> None:
    """Protect an append-only table that was created."""
    append_only.protect(conn, table.name)


def renew_versions_on_changes(table: Table, conn: Connection, **_: Any) -> None:
    """Have changes of a table that was created renew the versions of data."""
    version_triggers.renew_on_changes(conn, table.name)


def written(row: type[Row]) -> dict[str, Column[Any]]:
    """Return the columns of a table, but for those that the database computes itself."""
    table = row.__table__
    assert isinstance(table, Table)
    return {column.name: column for column in table.columns if column.computed is None}


def choice(members: type[enum.StrEnum], name: str) -> Enum:
    """Return the type of a column with an enum's names: text with a CHECK constraint."""
    # The length leaves room for longer names: they would change the constraint alone.
    return Enum(members, native_enum=False, create_constraint=True, name=name, length=32)


def refers(target: str, column: str, *, client: bool = False) -> ForeignKeyConstraint:
    """Return a foreign key within the practice; with `client`, to a row of the same client."""
    shared = ["practice_id", "client_id"] if client else ["practice_id"]
    return ForeignKeyConstraint(
        [*shared, column], [f"{target}.{name}" for name in (*shared, "id")], ondelete="RESTRICT"
    )


def practice_reference() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["practice_id"], ["practice.id"], ondelete="RESTRICT")


def digits(column: str, length: int) -> CheckConstraint:
    """Return the check that a text has this number of digits, in a form for both databases."""
    return CheckConstraint(
        f"length({column}) = {length} AND ltrim({column}, '0123456789') = ''",
        name=f"{column}_digits",
    )
