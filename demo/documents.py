"""Statements and superbills: the state of an account on the day of issue."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from demo.account import ClientAccount
from demo.bills import Movement
from demo.office import Therapist
from models import Statement, StatementLine, Superbill, SuperbillDiagnosis, SuperbillLine

Period = tuple[dt.date, dt.date]


@dataclass(frozen=True)
class Insurance:
    """Details for the insurer, in addition to the sessions."""

    diagnoses: Mapping[str, str]
    # Two digits: 11 the office, 10 the client's home by video, 02 elsewhere by video.
    place_of_service: str | None = "11"


def write_statement(account: ClientAccount, period: Period, *, is_shared: bool = True) -> None:
    """Write a statement of the period's movements, unless there are none and nothing is owed."""
    first, last = period
    beginning = sum(moved.invoiced - moved.paid for moved in account.movements if moved.day < first)
    during = [moved for moved in account.movements if first <= moved.day <= last]
    if not during and not beginning:
        return
    invoiced = sum(moved.invoiced for moved in during)
    paid = sum(moved.paid for moved in during)
    facts = account.write(
        Statement,
        letterhead_id=account.office.letterhead_id,
        client_name=account.client["name"],
        issued_on=account.today,
        period_start=first,
        period_end=last,
        beginning_minor=beginning,
        invoiced_minor=invoiced,
        paid_minor=paid,
        ending_minor=beginning + invoiced - paid,
        shared_at=account.at if is_shared else None,
    )
    write_lines(account, facts["id"], beginning, during)


def write_lines(
    account: ClientAccount, statement_id: str, balance: int, movements: list[Movement]
) -> None:
    for position, moved in enumerate(movements, 1):
        balance += moved.invoiced - moved.paid
        number = moved.bill.number if moved.bill else None
        account.write(
            StatementLine,
            statement_id=statement_id,
            position=position,
            date=moved.day,
            description=f"{moved.description} {number}" if number else moved.description,
            invoice_number=number,
            invoiced_minor=moved.invoiced,
            paid_minor=moved.paid,
            balance_after_minor=balance,
        )


def write_superbill(
    account: ClientAccount, period: Period, therapist: Therapist, insurance: Insurance
) -> None:
    """Write a superbill with a line for each session of the period, unless there is no session."""
    first, last = period
    sessions = [session for session in account.sessions if first <= session["date"] <= last]
    if not sessions:
        return
    client = account.client
    address = {key: value for key, value in client.items() if key.startswith("address_")}
    facts = account.write(
        Superbill,
        letterhead_id=therapist.letterhead_id,
        client_name=client["name"],
        client_date_of_birth=client["date_of_birth"],
        issued_on=account.today,
        period_start=first,
        period_end=last,
        shared_at=account.at,
        **address,
    )
    paid = paid_for_sessions(account)
    for position, session in enumerate(sessions, 1):
        account.write(
            SuperbillLine,
            superbill_id=facts["id"],
            position=position,
            session_id=session["id"],
            date=session["date"],
            place_of_service=insurance.place_of_service,
            cpt_code=session["service_code"],
            modifiers=["95"] if insurance.place_of_service in ("02", "10") else [],
            units_hundredths=100,
            diagnosis_pointers=list(range(1, len(insurance.diagnoses) + 1)),
            fee_minor=session["fee_minor"],
            paid_minor=paid.get(session["id"], 0),
        )
    for position, (code, description) in enumerate(insurance.diagnoses.items(), 1):
        account.write(
            SuperbillDiagnosis,
            superbill_id=facts["id"],
            position=position,
            code=code,
            description=description,
        )


def paid_for_sessions(account: ClientAccount) -> dict[str, Any]:
    """Return the amount paid of each session so far. An invoice's money fills its lines
    in order.
    """
    paid: dict[str, int] = {}
    for bill in account.bills:
        left = 0 if bill.is_void else bill.paid
        for item in bill.items:
            part = max(0, min(item.amount, left))
            left -= part
            if item.session_id and not bill.is_void:
                paid[item.session_id] = part
    return paid
