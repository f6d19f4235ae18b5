"""Practices on the command line: created and changed."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.entry.commands import PracticeEntries, new_practice, practice_entries
from billing.entry.number_series import NumberSeries
from billing.entry.practices import (
    PracticeDetails,
    PracticeLogo,
    change_practice,
    current_details,
    set_logo,
)
from models import DocumentKind, Logo, Practice
from server import stripe_check
from server.cli.entering import NotEntered, entering, entering_for
from server.cli.logos import read_logo
from server.cli.merging import WrongField, encrypted_tax_id, merged
from server.cli.practice_settings import OPTIONAL, REQUIRED
from server.settings import Settings


class Created(NamedTuple):
    """The id of a new practice, and a sentence about the practice."""

    id: str
    sentence: str


async def create_practice(settings: Settings, given: Mapping[str, Any]) -> Created:
    """Create a practice. Refuse a second one with the same name."""
    details = merged_details(None, given, settings)
    series, logo = [*number_series(given)], await given_logo(given)
    async with entering(settings, "portal practice create") as context:
        async with context.engine.connect() as conn:
            await refuse_same_name(conn, details.name)
            await refuse_taken_account(conn, details, None)
        async with new_practice(context, details) as entries:
            for one in series:
                await entries.set_series(one)
            if logo is not None:
                await entries.enter(set_logo, PracticeLogo(logo))
    account = details.stripe_account
    payments = f"are on, in {account}" if account else "are off"
    sentence = f"{details.name} is created. Online Payments {payments}."
    return Created(f"pra_{entries.facts.id}", sentence)


async def update_practice(
    settings: Settings, practice: str, given: Mapping[str, Any], clear: Collection[str]
) -> str:
    """Change the given settings of a practice, and return a sentence about the changes."""
    series, logo = [*number_series(given)], await given_logo(given)
    async with (
        entering_for(settings, "portal practice update", Practice, practice) as (context, row),
        practice_entries(context, row.id) as entries,
    ):
        before = current_details(entries.facts)
        details = merged_details(before, given, settings, clear)
        await refuse_taken_account(entries.conn, details, row.id)
        changed = [
            field.name
            for field in fields(details)
            if getattr(before, field.name) != getattr(details, field.name)
        ]
        if changed:
            await entries.enter(change_practice, details)
        for one in series:
            if await entries.set_series(one):
                changed.append(f"{one.document_kind.lower()} numbers")
        if logo is not None and logo != await current_logo(entries):
            await entries.enter(set_logo, PracticeLogo(logo))
            changed.append("logo")
    return f"pra_{row.id}: changed {', '.join(changed)}." if changed else "Nothing is changed."


async def refuse_same_name(conn: AsyncConnection, name: str) -> None:
    same = await conn.scalar(select(Practice.id).where(Practice.name == name))
    if same is not None:
        raise NotEntered(
            f"pra_{same} has this name: change it by `portal practice update`, or choose another"
            " name."
        )


async def refuse_taken_account(
    conn: AsyncConnection, details: PracticeDetails, practice_id: str | None
) -> None:
    """Refuse the Stripe account of another practice."""
    account = details.stripe_account
    taken = select(Practice.id).where(Practice.stripe_account == account)
    other = await conn.scalar(taken) if account else None
    if other not in (None, practice_id):
        raise NotEntered(f"stripe_account is that of pra_{other}: each practice needs its own.")


# -- settings as inputs of the writers -------------------------------------------------------------


def merged_details(
    current: PracticeDetails | None,
    given: Mapping[str, Any],
    settings: Settings,
    clear: Collection[str] = (),
) -> PracticeDetails:
    """Return the details of a practice with the given settings in place of the current ones."""
    values = merged(vars(current) if current else {}, given, clear, OPTIONAL)
    values["stripe_account"] = merged_account(current, given)
    if "tax_id" in given:
        known, address = current.tax_id if current else None, values["address"]
        country = address.country if address else None
        values["tax_id"] = encrypted_tax_id(given["tax_id"], known, settings, country)
    if missing := [name for name in REQUIRED if values.get(name) is None]:
        raise WrongField(
            f"A practice needs {' and '.join(missing)}: as keys of the file, or as options:"
            f" {' '.join('--' + name.replace('_', '-') for name in missing)}."
        )
    names = PracticeDetails.__dataclass_fields__
    details = PracticeDetails(**{name: one for name, one in values.items() if name in names})
    fault = account_fault(details, settings)
    if fault is not None:
        raise WrongField(fault)
    return details


def merged_account(current: PracticeDetails | None, given: Mapping[str, Any]) -> str | None:
    """Return the Stripe account; None if Online Payments are off."""
    account: str | None = given.get("stripe_account", current.stripe_account if current else None)
    is_on = given.get("online_payments")
    if is_on and account is None:
        raise WrongField("Online Payments need a stripe_account: acct_…, or own.")
    return None if is_on is False else account


def account_fault(details: PracticeDetails, settings: Settings) -> str | None:
    """Return why this server can't charge in the practice's Stripe account, as a sentence."""
    account = details.stripe_account
    fault = account and stripe_check.account_fault(settings, account, details.currency)
    if not fault:
        return None
    return f"stripe_account is {account}: {fault}. Name another, or give --no-online-payments."


def number_series(given: Mapping[str, Any]) -> Iterator[NumberSeries]:
    """Yield the numbers that are set."""
    for kind in DocumentKind:
        prefix = given.get(f"{kind.lower()}_prefix")
        start = given.get(f"{kind.lower()}_start")
        if prefix is not None or start is not None:
            yield NumberSeries(kind, prefix, start)


async def given_logo(given: Mapping[str, Any]) -> bytes | None:
    file: Path | None = given.get("logo")
    return await read_logo(file) if file is not None else None


async def current_logo(entries: PracticeEntries) -> bytes | None:
    """Return the logo of documents to come."""
    of_practice = select(Logo.content).where(Logo.practice_id == entries.facts.id)
    content: bytes | None = await entries.conn.scalar(
        of_practice.order_by(Logo.since.desc()).limit(1)
    )
    return content
