"""Superbills of a month: one for each clinician with sessions of the client.

A superbill lists the clinician's own sessions of the month that are on no superbill yet. Diagnoses,
place of service and modifiers are those of the client's last superbill.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from sqlalchemy import ColumnElement, and_, exists, select

from billing.entry.commands import ClientEntries
from billing.entry.errors import no_such
from billing.entry.rows import Values
from billing.entry.superbills import SuperbillRequest, issue_superbill, sessions_of
from billing.issuing.monthly import MonthlyDocuments
from billing.issuing.months import BillingMonth
from models import Client, DocumentKind, Session, Superbill, SuperbillDiagnosis, SuperbillLine


@dataclass(frozen=True)
class Insurer:
    """The facts for the insurer on the client's last superbill."""

    diagnoses: Mapping[str, str | None] = field(default_factory=dict)
    place_of_service: str | None = None
    modifiers: Sequence[str] = ()


def may_get_superbill(practice_id: str, month: BillingMonth) -> ColumnElement[bool]:
    """Return whether a client has sessions of the month that are on no superbill."""
    listed = exists().where(
        SuperbillLine.practice_id == practice_id, SuperbillLine.session_id == Session.id
    )
    return exists().where(
        Session.practice_id == practice_id,
        Session.client_id == Client.id,
        Session.date.between(month.first, month.last),
        ~listed,
    )


async def issue_monthly_superbills(entries: ClientEntries, month: BillingMonth) -> int:
    """Issue a client's superbills of a month. Return their number."""
    sessions = await sessions_to_list(entries, month)
    if not sessions:
        return 0
    insurer, count = await last_insurer(entries), 0
    by_clinician = sorted(sessions, key=lambda one: provider(entries, one))
    for clinician_id, listed in groupby(by_clinician, key=lambda one: provider(entries, one)):
        request = SuperbillRequest(
            month.first,
            month.last,
            clinician_id,
            **vars(insurer),
            session_ids=[str(session["id"]) for session in listed],
        )
        await entries.enter(issue_superbill, request)
        count += 1
    return count


async def sessions_to_list(entries: ClientEntries, month: BillingMonth) -> list[Values]:
    """Return the client's sessions of a month that are on no superbill."""
    of_client = and_(
        Superbill.practice_id == entries.facts.id, Superbill.client_id == entries.ledger.id
    )
    lines = (
        select(SuperbillLine.session_id)
        .join(
            Superbill,
            and_(
                Superbill.practice_id == SuperbillLine.practice_id,
                Superbill.id == SuperbillLine.superbill_id,
            ),
        )
        .where(of_client)
    )
    listed = set(await entries.conn.scalars(lines))
    found = sessions_of(entries.ledger, month.first, month.last)
    return [session for session in found if session["id"] not in listed]


def provider(entries: ClientEntries, session: Values) -> str:
    """Return the clinician of a session, or else the client's own."""
    clinician_id = session["clinician_id"] or entries.ledger.client["clinician_id"]
    if clinician_id is None:
        raise no_such("clinician", "clinician_id")
    return str(clinician_id)


async def last_insurer(entries: ClientEntries) -> Insurer:
    """Return the facts for the insurer on the client's last superbill."""
    conn, practice_id = entries.conn, entries.facts.id
    of_client = Superbill.practice_id == practice_id, Superbill.client_id == entries.ledger.id
    newest = select(Superbill.id).where(*of_client)
    order = Superbill.issued_on.desc(), Superbill.serial.desc()
    superbill_id = await conn.scalar(newest.order_by(*order).limit(1))
    if superbill_id is None:
        return Insurer()
    diagnoses = await conn.execute(
        select(SuperbillDiagnosis.code, SuperbillDiagnosis.description)
        .where(
            SuperbillDiagnosis.practice_id == practice_id,
            SuperbillDiagnosis.superbill_id == superbill_id,
        )
        .order_by(SuperbillDiagnosis.position)
    )
    line = await conn.execute(
        select(SuperbillLine.place_of_service, SuperbillLine.modifiers)
        .where(SuperbillLine.practice_id == practice_id, SuperbillLine.superbill_id == superbill_id)
        .order_by(SuperbillLine.position.desc())
        .limit(1)
    )
    place, modifiers = line.one()
    return Insurer({row.code: row.description for row in diagnoses}, place, modifiers)


SUPERBILLS = MonthlyDocuments(
    DocumentKind.SUPERBILL, "superbill", may_get_superbill, issue_monthly_superbills
)
