"""Sessions that took place, to be invoiced."""

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from billing.entry import validation as check
from billing.entry.client_ledger import ClientLedger
from billing.entry.errors import EntryError, EntryErrorCode
from billing.entry.rows import Draft, Values
from models import Session

LONGEST_MINUTES = 24 * 60


@dataclass(frozen=True)
class SessionDetails:
    """A session and its fee. Without a clinician it is the client's own clinician's."""

    kind: ClassVar[str] = "session"

    date: dt.date
    description: str
    fee_minor: int
    clinician_id: str | None = None
    starts_at: dt.datetime | None = None
    duration_minutes: int | None = None
    service_code: str | None = None

    def __post_init__(self) -> None:
        check.check_day("date", self.date)
        check.check_text("description", self.description)
        check.check_amount("fee_minor", self.fee_minor, least=0)
        check.check_optional_form("clinician_id", self.clinician_id, check.ID)
        check.check_optional_form("service_code", self.service_code, check.CPT)
        if self.starts_at is not None:
            check.check_moment("starts_at", self.starts_at)
        if self.duration_minutes is not None:
            check.check_whole("duration_minutes", self.duration_minutes, 1, LONGEST_MINUTES)


@dataclass(frozen=True)
class SessionCorrection:
    """New details of a session that is on no valid invoice."""

    kind: ClassVar[str] = "session"

    session_id: str
    details: SessionDetails

    def __post_init__(self) -> None:
        check.check_form("session_id", self.session_id, check.ID)


def correct_session(draft: Draft, ledger: ClientLedger, correction: SessionCorrection) -> str:
    """Correct a session."""
    if correction.session_id in ledger.invoiced_sessions:
        raise EntryError(
            EntryErrorCode.ALREADY_INVOICED, "The session is on an invoice.", "session_id"
        )
    values = session_values(draft, ledger, correction.details)
    draft.alter(Session, {"id": correction.session_id}, **values)
    return correction.session_id


def record_session(draft: Draft, ledger: ClientLedger, details: SessionDetails) -> str:
    """Record a session. The client owes nothing for it before it is invoiced."""
    return str(draft.insert(Session, **session_values(draft, ledger, details))["id"])


def session_values(draft: Draft, ledger: ClientLedger, details: SessionDetails) -> Values:
    """Return the columns of a session. Refuse a day in the future."""
    if details.date > draft.today:
        raise check.invalid("date", "is in the future")
    clinician_id = details.clinician_id or ledger.client["clinician_id"]
    ledger.practice.check_clinician(clinician_id)
    return vars(details) | {"clinician_id": clinician_id}
