"""Practices on the command line, listed."""

from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.document_numbers import PREFIXES
from models import DocumentCounter, Letterhead, Logo, Practice
from models.address import Addressed
from server.cli.rows import writing
from server.settings import Settings

Facts = dict[str, Any]
# The columns that are printed as they are.
COLUMNS = (
    "name time_zone currency locale phone email portal_url stripe_account clients_remove_cards"
    " days_until_due"
).split()
ADDRESS = [name for name in Addressed.__annotations__ if name.startswith("address_")]


async def list_practices(settings: Settings) -> list[Facts]:
    """Return the settings of each practice for JSON; the last digits alone of a tax id."""
    async with writing(settings) as conn:
        practices = (await conn.execute(select(Practice.__table__).order_by(Practice.id))).all()
        return [await practice_facts(conn, practice) for practice in practices]


async def practice_facts(conn: AsyncConnection, practice: Row[Any]) -> Facts:
    letterheads = select(Letterhead.__table__).where(
        Letterhead.practice_id == practice.id, Letterhead.clinician_id.is_(None)
    )
    letterhead = (await conn.execute(letterheads.order_by(Letterhead.id.desc()).limit(1))).first()
    counters = select(DocumentCounter.__table__).where(DocumentCounter.practice_id == practice.id)
    by_kind = {counter.kind: counter for counter in await conn.execute(counters)}
    logo = select(Logo.since).where(Logo.practice_id == practice.id).limit(1)
    address = {name.removeprefix("address_"): getattr(practice, name) for name in ADDRESS}
    return {
        "id": f"pra_{practice.id}",
        **{name: getattr(practice, name) for name in COLUMNS},
        "online_payments": practice.stripe_account is not None,
        "address": address if practice.address_line1 is not None else None,
        "npi": letterhead.npi if letterhead else None,
        "tax_id_last4": letterhead.tax_id_last4 if letterhead else None,
        "has_logo": await conn.scalar(logo) is not None,
        "numbers": {
            kind.lower(): numbers(prefix, by_kind.get(kind)) for kind, prefix in PREFIXES.items()
        },
    }


def numbers(prefix: str, counter: Row[Any] | None) -> Facts:
    """Return the beginning of the numbers of a kind of document, and the next serial."""
    if counter is None:
        return {"prefix": prefix, "next": 1}
    return {"prefix": counter.prefix or prefix, "next": counter.last + 1}


def practice_line(practice: Facts) -> str:
    account = practice["stripe_account"]
    payments = f"Online Payments in {account}" if account else "no Online Payments"
    named = f"{practice['id']}  {practice['name']}  {practice['time_zone']}"
    return f"{named}  {practice['currency']}  {payments}"
