"""Superbills: the visits of a period, for the client's insurer."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from billing.entry import validation as check
from billing.entry.client_ledger import ClientLedger, InvoiceRecord
from billing.entry.errors import no_such
from billing.entry.rows import Draft, Values
from models import Superbill, SuperbillDiagnosis, SuperbillLine

# A claim form has room for twelve diagnoses.
MOST_DIAGNOSES = 12


@dataclass(frozen=True)
class SuperbillRequest:
    """The period, the provider, and an insurer's other facts about the sessions.

    `diagnoses` has ICD-10-CM codes with their descriptions; each visit points to all of them.
    """

    kind: ClassVar[str] = "superbill"

    first: dt.date
    last: dt.date
    clinician_id: str
    diagnoses: Mapping[str, str | None] = field(default_factory=dict)
    place_of_service: str | None = None
    modifiers: Sequence[str] = ()
    is_shared: bool = True
    # Only these sessions of the period; None: all of them.
    session_ids: Sequence[str] | None = None

    def __post_init__(self) -> None:
        check.check_period(self.first, self.last)
        check.check_form("clinician_id", self.clinician_id, check.ID)
        if len(self.diagnoses) > MOST_DIAGNOSES:
            raise check.invalid("diagnoses", f"are more than {MOST_DIAGNOSES}")
        for code, description in self.diagnoses.items():
            check.check_form("diagnoses", code, check.DIAGNOSIS)
            check.check_optional_text("diagnoses", description)
        check.check_optional_form("place_of_service", self.place_of_service, check.PLACE)
        for modifier in self.modifiers:
            check.check_form("modifiers", modifier, check.MODIFIER)
        check.check_ids("session_ids", self.session_ids or ())


def issue_superbill(draft: Draft, ledger: ClientLedger, wanted: SuperbillRequest) -> str:
    """Issue a superbill with a line for each session of the period, and the amount paid of it."""
    ledger.practice.check_clinician(wanted.clinician_id)
    sessions = wanted_sessions(ledger, wanted)
    client = ledger.client
    address = {name: client[name] for name in client if name.startswith("address_")}
    superbill = draft.insert(
        Superbill,
        letterhead_id=ledger.practice.letterhead(wanted.clinician_id),
        client_name=client["name"],
        client_date_of_birth=client["date_of_birth"],
        issued_on=draft.today,
        period_start=wanted.first,
        period_end=wanted.last,
        shared_at=draft.now if wanted.is_shared else None,
        **address,
    )
    own = {"superbill_id": superbill["id"]}
    paid = paid_of_sessions(ledger)
    for position, session in enumerate(sessions, 1):
        draft.insert(
            SuperbillLine,
            **own,
            position=position,
            session_id=session["id"],
            date=session["date"],
            place_of_service=wanted.place_of_service,
            cpt_code=session["service_code"],
            modifiers=list(wanted.modifiers),
            units_hundredths=100,
            diagnosis_pointers=list(range(1, len(wanted.diagnoses) + 1)),
            fee_minor=session["fee_minor"],
            paid_minor=paid.get(session["id"], 0),
        )
    for position, (code, description) in enumerate(wanted.diagnoses.items(), 1):
        draft.insert(
            SuperbillDiagnosis, **own, position=position, code=code, description=description
        )
    return str(superbill["id"])


def wanted_sessions(ledger: ClientLedger, wanted: SuperbillRequest) -> list[Values]:
    """Return the sessions to list. Refuse a request for none, or for one that is not there."""
    sessions = sessions_of(ledger, wanted.first, wanted.last)
    if wanted.session_ids is not None:
        sessions = [session for session in sessions if session["id"] in wanted.session_ids]
        if len(sessions) < len(wanted.session_ids):
            raise no_such("session", "session_ids")
    if not sessions:
        raise no_such("session", "period_start")
    return sessions


def sessions_of(ledger: ClientLedger, first: dt.date, last: dt.date) -> list[Values]:
    """Return the sessions of a period, by day and then in the order of entry."""
    found = [one for one in ledger.sessions.values() if first <= one["date"] <= last]
    return sorted(found, key=lambda session: session["date"])


def paid_of_sessions(ledger: ClientLedger) -> dict[str, int]:
    """Return the amount paid of each session that is on a valid invoice."""
    paid: dict[str, int] = {}
    for invoice in ledger.invoices.values():
        if not invoice.is_void:
            paid |= paid_of_lines(invoice)
    return paid


def paid_of_lines(invoice: InvoiceRecord) -> dict[str, int]:
    """Return the amount paid of each session of an invoice: money fills the lines in order."""
    paid: dict[str, int] = {}
    left = invoice.paid
    for line in invoice.lines:
        part = max(0, min(line["amount_minor"], left))
        left -= part
        if line["session_id"]:
            paid[line["session_id"]] = part
    return paid
