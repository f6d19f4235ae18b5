"""Clinicians on the command line: entered, changed and listed."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import select

from billing.entry.commands import practice_entries
from billing.entry.people import CLINICIAN, ClinicianChange, ClinicianDetails
from billing.entry.practices import stored_address, stored_tax_id
from models import Clinician, Practice
from server.cli.entering import Key, entering_for, external_id
from server.cli.merging import encrypted_tax_id, merged
from server.cli.rows import find_row, writing
from server.settings import Settings

OPTIONAL = "credentials npi licence_number phone tax_id address"


async def create(settings: Settings, practice: str, given: Mapping[str, Any], external: Key) -> str:
    """Enter a clinician, or change the one that has the key of another system. Return the id."""
    key, details = external_id(external), merged_details(None, given, settings)
    async with (
        entering_for(settings, "portal clinician create", Practice, practice) as (context, row),
        practice_entries(context, row.id) as entries,
    ):
        if key is None:
            return f"cln_{await entries.enter(CLINICIAN.add, details)}"
        return f"cln_{await entries.upsert(CLINICIAN, details, key)}"


async def update(
    settings: Settings, clinician: str, given: Mapping[str, Any], clear: Collection[str]
) -> str:
    """Change the given details of a clinician, and return a sentence about the change."""
    async with (
        entering_for(settings, "portal clinician update", Clinician, clinician) as (context, row),
        practice_entries(context, row.practice_id) as entries,
    ):
        values, head = entries.facts.clinicians[row.id], entries.facts.letterheads[row.id]
        current = ClinicianDetails(
            **{name: values[name] for name in ("name", "credentials", "npi", "licence_number")},
            phone=head["phone"],
            address=stored_address(head),
            tax_id=stored_tax_id(head),
        )
        details = merged_details(current, given, settings, clear)
        if details == current:
            return "Nothing is changed."
        await entries.enter(CLINICIAN.change, ClinicianChange(row.id, details))
    return f"cln_{row.id} is changed."


def merged_details(
    current: ClinicianDetails | None,
    given: Mapping[str, Any],
    settings: Settings,
    clear: Collection[str] = (),
) -> ClinicianDetails:
    values = merged(vars(current) if current else {}, given, clear, OPTIONAL)
    if "tax_id" in given:
        known, address = current.tax_id if current else None, values["address"]
        country = address.country if address else None
        values["tax_id"] = encrypted_tax_id(given["tax_id"], known, settings, country)
    return ClinicianDetails(**values)


async def list_clinicians(settings: Settings, practice: str) -> list[dict[str, Any]]:
    """Return the clinicians of a practice, as JSON has them."""
    async with writing(settings) as conn:
        row = await find_row(conn, Practice, practice)
        of_practice = select(Clinician.__table__).where(Clinician.practice_id == row.id)
        found = (await conn.execute(of_practice.order_by(Clinician.name, Clinician.id))).all()
    names = ("name", "credentials", "npi", "licence_number")
    return [
        {"id": f"cln_{one.id}", **{name: getattr(one, name) for name in names}} for one in found
    ]
