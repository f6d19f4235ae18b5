"""The outbox: events that tell a practice's other systems of changes, and their endpoints."""

import datetime as dt
import enum

from sqlalchemy import JSON, CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.append_only import APPEND_ONLY
from models.checks import only_these
from models.row import Count, Encrypted, Key, Reference, Row, choice, practice_reference


class EventKind(enum.StrEnum):
    CLIENT_CREATED = "CLIENT_CREATED"
    CLIENT_UPDATED = "CLIENT_UPDATED"
    SESSION_CREATED = "SESSION_CREATED"
    SESSION_UPDATED = "SESSION_UPDATED"
    PAYMENT_CREATED = "PAYMENT_CREATED"
    PAYMENT_SUCCEEDED = "PAYMENT_SUCCEEDED"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    PAYMENT_CANCELED = "PAYMENT_CANCELED"
    PAYMENT_REFUNDED = "PAYMENT_REFUNDED"
    PAYMENT_DISPUTED = "PAYMENT_DISPUTED"
    PAYMENT_UPDATED = "PAYMENT_UPDATED"
    INVOICE_ISSUED = "INVOICE_ISSUED"
    INVOICE_PAID = "INVOICE_PAID"
    INVOICE_REOPENED = "INVOICE_REOPENED"
    INVOICE_VOIDED = "INVOICE_VOIDED"
    INVOICE_UPDATED = "INVOICE_UPDATED"
    STATEMENT_ISSUED = "STATEMENT_ISSUED"
    STATEMENT_UPDATED = "STATEMENT_UPDATED"
    SUPERBILL_ISSUED = "SUPERBILL_ISSUED"
    SUPERBILL_UPDATED = "SUPERBILL_UPDATED"


class OutboxEvent(Row):
    """An event: what a version of the practice's data changed about a row.

    It is written in the transaction of the change. The order of events is that of versions, and of
    positions within a version.
    """

    __tablename__ = "outbox_event"
    __table_args__ = (
        practice_reference(),
        CheckConstraint("version > 0", name="version_positive"),
        CheckConstraint("position > 0", name="position_positive"),
        Index(None, "practice_id", "row_id", "version"),
        APPEND_ONLY,
    )

    practice_id: Mapped[Key]
    version: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[Count] = mapped_column(primary_key=True)
    kind: Mapped[EventKind] = mapped_column(choice(EventKind, "kind"))
    # The row that changed, in the table that the kind names.
    row_id: Mapped[Reference]
    # The state of the row after the change, with which the next one is compared.
    row_state: Mapped[str]
    occurred_at: Mapped[dt.datetime]


class EndpointStatus(enum.StrEnum):
    ACTIVE = "ACTIVE"
    # By an operator, or after three days of failures.
    PAUSED = "PAUSED"
    # The endpoint has answered 410.
    GONE = "GONE"


class EventEndpoint(Row):
    """An address of another system of the practice, and the place of the last event sent to it."""

    __tablename__ = "event_endpoint"
    __table_args__ = (
        practice_reference(),
        CheckConstraint("after_version >= 0", name="version_positive"),
        CheckConstraint("after_position >= 0", name="position_positive"),
        CheckConstraint("failures >= 0", name="failures_positive"),
        CheckConstraint(
            "(former_secret_encrypted IS NULL) = (former_until IS NULL)", name="former_secret_ends"
        ),
        *only_these("kinds", EventKind),
    )

    practice_id: Mapped[Key]
    id: Mapped[Key]
    url: Mapped[str]
    # The kinds of events that are sent; none: all of them.
    kinds: Mapped[list[str]] = mapped_column(JSON)
    secret_encrypted: Mapped[Encrypted]
    # The secret before the last rotation, which signs too until a time.
    former_secret_encrypted: Mapped[Encrypted | None]
    former_until: Mapped[dt.datetime | None]
    status: Mapped[EndpointStatus] = mapped_column(choice(EndpointStatus, "status"))
    # The version and the position of the last event that was delivered or passed over.
    after_version: Mapped[int]
    after_position: Mapped[Count]
    # The attempts that have failed since the last success, and the time of the first one.
    failures: Mapped[Count]
    failing_since: Mapped[dt.datetime | None]
    # The failure of the last attempt, in our own words.
    last_error: Mapped[str | None]
    # The time of the last turn, and the time before which there is no attempt.
    attempted_at: Mapped[dt.datetime | None]
    attempt_at: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime]
    # The end of the delivering worker's lease, by the database's clock.
    leased_until: Mapped[dt.datetime | None]
