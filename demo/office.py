"""A practice: its clinicians, letterheads, prices and opening hours."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from billing.entry.people import (
    ClinicianDetails,
    ContactDetails,
    PostalAddress,
    TaxId,
    add_clinician,
    add_contact,
)
from billing.entry.practice_facts import PracticeFacts
from billing.entry.practices import PracticeDetails, add_practice
from billing.entry.rows import Draft, Insertion
from demo.entries import Chance, Entered
from demo.names import npi

# Practices were founded before all other events of the demo.
FOUNDED_DAYS_AGO = 900


@dataclass(frozen=True)
class Service:
    """A kind of session, with its usual fee in minor units."""

    code: str
    description: str
    minutes: int
    fee_minor: int


class Office:
    """A practice, as the lives of its clients use it."""

    def __init__(
        self,
        today: dt.date,
        seed: int,
        key: str,
        details: PracticeDetails,
        services: dict[str, Service],
        address: Callable[[Chance], PostalAddress],
    ) -> None:
        self.today, self.seed, self.key = today, seed, key
        self.details, self.services, self.address = details, services, address
        self.zone = ZoneInfo(details.time_zone)
        self.chance = Chance(seed, key)
        self.founded = self.moment(FOUNDED_DAYS_AGO, 9)
        self.tax_id = TaxId(self.chance.digits(4))
        self.stamp = self.chance.stamp(self.founded, self.day(self.founded))
        self.id = self.stamp.new_id()
        self.therapists: list[str] = []
        self.entered: list[Entered] = []
        draft = Draft(self.id, self.stamp)
        add_practice(draft, replace(details, npi=npi(self.chance), tax_id=self.tax_id))
        practice, *_ = draft.operations
        assert isinstance(practice, Insertion)
        self.practice = PracticeFacts(practice.values)
        self.apply(draft)

    @property
    def takes_cards(self) -> bool:
        return self.details.stripe_account is not None

    def moment(self, days_ago: int, hour: int, minute: int = 0) -> dt.datetime:
        """Return a time of that day on the practice's clock, in UTC."""
        return local_instant(self.today - dt.timedelta(days_ago), hour, minute, self.zone)

    def day(self, at: dt.datetime) -> dt.date:
        return at.astimezone(self.zone).date()

    def employ(self, name: str, credentials: str, licence: str, *, has_npi: bool = True) -> str:
        """Add a clinician, and return the id."""
        number = npi(self.chance) if has_npi else None
        own, sender = self.details, (name, credentials, number, licence)
        details = ClinicianDetails(*sender, own.phone, own.address, self.tax_id)
        self.therapists.append(self.enter(add_clinician, details))
        return self.therapists[-1]

    def add_contact(self, name: str, email: str | None = None) -> str:
        return self.enter(add_contact, ContactDetails(name, email))

    def enter(self, maker: Callable[[Draft, PracticeFacts, Any], str], wanted: Any) -> str:
        """Make an entry of the time when the practice was founded."""
        draft = Draft(self.id, self.stamp)
        row_id = maker(draft, self.practice, wanted)
        self.apply(draft)
        return row_id

    def apply(self, draft: Draft) -> None:
        for operation in draft.operations:
            self.practice.apply(operation)
            self.entered.append(Entered(self.founded, operation))


@cache
def local_instant(day: dt.date, hour: int, minute: int, zone: ZoneInfo) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute), zone).astimezone(dt.UTC)


def months(first: dt.date, last: dt.date) -> Iterator[tuple[dt.date, dt.date]]:
    """Yield the first and the last day of each month that ended before `last`."""
    start = first.replace(day=1)
    while (following := next_month(start)) <= last:
        yield start, following - dt.timedelta(1)
        start = following


def next_month(day: dt.date) -> dt.date:
    return (day.replace(day=28) + dt.timedelta(4)).replace(day=1)
