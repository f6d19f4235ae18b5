"""Superbills: the visits of a period, for the client's insurer.

A superbill is issued for sessions that are here, or entered as another system has issued it.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from billing.entry import validation as check
from billing.entry.client_ledger import ClientLedger, InvoiceRecord
from billing.entry.errors import no_such
from billing.entry.rows import Draft, Values
from models import Superbill, SuperbillDiagnosis, SuperbillLine

# A claim form has room for twelve diagnoses.
MOST_DIAGNOSES = 12
MOST_VISITS = 1_000


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


@dataclass(frozen=True)
class Visit:
    """A line of a superbill. `diagnoses` are positions among the superbill's diagnoses."""

    date: dt.date
    fee_minor: int
    paid_minor: int = 0
    place_of_service: str | None = None
    cpt_code: str | None = None
    modifiers: Sequence[str] = ()
    units_hundredths: int = 100
    diagnoses: Sequence[int] = ()
    session_id: str | None = None

    def __post_init__(self) -> None:
        check.check_day("date", self.date)
        check.check_amount("fee_minor", self.fee_minor, least=0)
        check.check_amount("paid_minor", self.paid_minor, least=0)
        check.check_optional_form("place_of_service", self.place_of_service, check.PLACE)
        check.check_optional_form("service_code", self.cpt_code, check.CPT)
        check.check_whole("units_hundredths", self.units_hundredths, 1, 100_000)
        check.check_optional_form("session_id", self.session_id, check.ID)
        for modifier in self.modifiers:
            check.check_form("modifiers", modifier, check.MODIFIER)


@dataclass(frozen=True)
class IssuedSuperbill:
    """A superbill of another system. Without a billing clinician the practice itself bills.

    `diagnoses` has positions, ICD-10-CM codes and their descriptions.
    """

    kind: ClassVar[str] = "superbill"

    issued_on: dt.date
    first: dt.date
    last: dt.date
    rendering_clinician_id: str
    visits: Sequence[Visit]
    diagnoses: Sequence[tuple[int, str, str | None]] = ()
    billing_clinician_id: str | None = None
    is_shared: bool = True
    number: str | None = None

    def __post_init__(self) -> None:
        check.check_day("issued_on", self.issued_on)
        check.check_period(self.first, self.last)
        check.check_form("rendering_clinician_id", self.rendering_clinician_id, check.ID)
        check.check_optional_form("billing_clinician_id", self.billing_clinician_id, check.ID)
        check.check_optional_text("number", self.number, 50)
        if not 1 <= len(self.visits) <= MOST_VISITS:
            raise check.invalid("visits", f"are not between 1 and {MOST_VISITS}")
        for position, code, description in self.diagnoses:
            check.check_whole("diagnoses", position, 1, MOST_DIAGNOSES)
            check.check_form("diagnoses", code, check.DIAGNOSIS)
            check.check_optional_text("diagnoses", description)
        positions = {position for position, _, _ in self.diagnoses}
        for visit in self.visits:
            if not self.first <= visit.date <= self.last:
                raise check.invalid("visits", "are not all in the period")
            if not positions.issuperset(visit.diagnoses):
                raise check.invalid("visits", "point to a diagnosis that is not there")


def enter_issued_superbill(draft: Draft, ledger: ClientLedger, wanted: IssuedSuperbill) -> str:
    """Enter a superbill that another system has issued, with its own lines and amounts."""
    practice, rendering = ledger.practice, wanted.rendering_clinician_id
    if wanted.issued_on > draft.today:
        raise check.invalid("issued_on", "is in the future")
    for clinician_id in (rendering, wanted.billing_clinician_id):
        practice.check_clinician(clinician_id)
    if not ledger.sessions.keys() >= {one.session_id for one in wanted.visits if one.session_id}:
        raise no_such("session", "session_id")
    is_one = wanted.billing_clinician_id == rendering
    superbill_id = insert_superbill(
        draft,
        ledger,
        letterhead_id=practice.letterhead(wanted.billing_clinician_id),
        rendering_letterhead_id=None if is_one else practice.letterhead(rendering),
        number=wanted.number,
        issued_on=wanted.issued_on,
        period_start=wanted.first,
        period_end=wanted.last,
        shared_at=draft.now if wanted.is_shared else None,
    )
    for position, visit in enumerate(wanted.visits, 1):
        insert_visit(draft, superbill_id, position, visit)
    for position, code, description in wanted.diagnoses:
        insert_diagnosis(draft, superbill_id, position, code, description)
    return superbill_id


def issue_superbill(draft: Draft, ledger: ClientLedger, wanted: SuperbillRequest) -> str:
    """Issue a superbill with a line for each session of the period, and the amount paid of it."""
    ledger.practice.check_clinician(wanted.clinician_id)
    sessions = wanted_sessions(ledger, wanted)
    superbill_id = insert_superbill(
        draft,
        ledger,
        letterhead_id=ledger.practice.letterhead(wanted.clinician_id),
        issued_on=draft.today,
        period_start=wanted.first,
        period_end=wanted.last,
        shared_at=draft.now if wanted.is_shared else None,
    )
    paid = paid_of_sessions(ledger)
    for position, session in enumerate(sessions, 1):
        visit = Visit(
            session["date"],
            session["fee_minor"],
            paid.get(session["id"], 0),
            wanted.place_of_service,
            session["service_code"],
            wanted.modifiers,
            diagnoses=range(1, len(wanted.diagnoses) + 1),
            session_id=session["id"],
        )
        insert_visit(draft, superbill_id, position, visit)
    for position, (code, description) in enumerate(wanted.diagnoses.items(), 1):
        insert_diagnosis(draft, superbill_id, position, code, description)
    return superbill_id


# -- rows ------------------------------------------------------------------------------------------


def insert_superbill(draft: Draft, ledger: ClientLedger, **values: Any) -> str:
    """Add a superbill's row, with the client's name, date of birth and address of today."""
    client = ledger.client
    address = {name: client[name] for name in client if name.startswith("address_")}
    superbill = draft.insert(
        Superbill,
        client_name=client["name"],
        client_date_of_birth=client["date_of_birth"],
        **address,
        **values,
    )
    return str(superbill["id"])


def insert_visit(draft: Draft, superbill_id: str, position: int, visit: Visit) -> None:
    values = vars(visit) | {
        "modifiers": list(visit.modifiers),
        "diagnosis_pointers": list(visit.diagnoses),
    }
    del values["diagnoses"]
    draft.insert(SuperbillLine, superbill_id=superbill_id, position=position, **values)


def insert_diagnosis(
    draft: Draft, superbill_id: str, position: int, code: str, description: str | None
) -> None:
    draft.insert(
        SuperbillDiagnosis,
        superbill_id=superbill_id,
        position=position,
        code=code,
        description=description,
    )


# -- sessions and amounts --------------------------------------------------------------------------


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
