"""The hash chain of each client's books, and its daily roots."""

import datetime as dt
import enum

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.append_only import APPEND_ONLY
from models.row import Key, Reference, Row, choice, practice_reference, refers


class ChainedTable(enum.StrEnum):
    """The tables whose rows are in the chain."""

    LEDGER_ENTRY = "LEDGER_ENTRY"
    ALLOCATION = "ALLOCATION"
    RECEIPT = "RECEIPT"
    PRINTED_DOCUMENT = "PRINTED_DOCUMENT"


class ChainLink(Row):
    """The link of one row: a hash of the row and of the link before it.

    A client's links are numbered from 1 without a gap, so two rows can't follow the same one.
    """

    __tablename__ = "chain_link"
    __table_args__ = (
        refers("client", "client_id"),
        CheckConstraint("position > 0", name="position_positive"),
        CheckConstraint("length(hash) = 32", name="hash_sha256"),
        APPEND_ONLY,
    )

    practice_id: Mapped[Key]
    client_id: Mapped[Key]
    position: Mapped[int] = mapped_column(primary_key=True)
    table_name: Mapped[ChainedTable] = mapped_column(choice(ChainedTable, "table_name"))
    # The row's primary key without its practice, its parts separated by slashes.
    row_key: Mapped[str]
    added_at: Mapped[dt.datetime]
    hash: Mapped[bytes]


class ChainRoot(Row):
    """One hash over all links of a practice that were added by the end of a day, in UTC."""

    __tablename__ = "chain_root"
    __table_args__ = (
        practice_reference(),
        CheckConstraint("length(hash) = 32", name="hash_sha256"),
        APPEND_ONLY,
    )

    practice_id: Mapped[Key]
    day: Mapped[dt.date] = mapped_column(primary_key=True)
    hash: Mapped[bytes]
    made_at: Mapped[dt.datetime]


class ErasedValue(Row):
    """The SHA-256 of a value that was erased from a row of the chain: the row is verified by it."""

    __tablename__ = "erased_value"
    __table_args__ = (
        refers("client", "client_id"),
        CheckConstraint("length(digest) = 32", name="digest_sha256"),
        Index(None, "practice_id", "client_id"),
        APPEND_ONLY,
    )

    practice_id: Mapped[Key]
    table_name: Mapped[ChainedTable] = mapped_column(
        choice(ChainedTable, "table_name"), primary_key=True
    )
    # As in the row's link.
    row_key: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[Reference]
    digest: Mapped[bytes]
    erased_at: Mapped[dt.datetime]
