"""A practice: its clinicians, letterheads, prices and opening hours."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from demo.entries import Chance, Entered, with_all_columns
from demo.names import npi
from models import Clinician, Letterhead, Practice, Row

# Practices were founded before all other events of the demo.
FOUNDED_DAYS_AGO = 900


@dataclass(frozen=True)
class Service:
    """A kind of session, with its usual fee in minor units."""

    code: str
    description: str
    minutes: int
    fee_minor: int


@dataclass(frozen=True)
class Therapist:
    id: str
    letterhead_id: str


@dataclass
class Office:
    """A practice, as the lives of its clients use it."""

    today: dt.date
    seed: int
    key: str
    facts: dict[str, Any]
    services: dict[str, Service]
    address: Callable[[Chance], dict[str, Any]]
    therapists: list[Therapist] = field(default_factory=list)
    rows: list[Entered] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.zone = ZoneInfo(self.facts["time_zone"])
        self.chance = Chance(self.seed, self.key)
        self.founded = self.moment(FOUNDED_DAYS_AGO, 9)
        self.id = self.chance.id(self.founded)
        self.rows.append(
            Entered(self.founded, Practice, with_all_columns(Practice, id=self.id) | self.facts)
        )
        self.tax_id_last4 = self.chance.digits(4)
        self.letterhead_id = self.letterhead(self.facts["name"], npi=npi(self.chance))

    @property
    def takes_cards(self) -> bool:
        return self.facts["stripe_account"] is not None

    def moment(self, days_ago: int, hour: int, minute: int = 0) -> dt.datetime:
        """Return a time of that day on the practice's clock, in UTC."""
        return local_instant(self.today - dt.timedelta(days_ago), hour, minute, self.zone)

    def day(self, at: dt.datetime) -> dt.date:
        return at.astimezone(self.zone).date()

    def employ(
        self, name: str, credentials: str, licence: str, *, has_npi: bool = True
    ) -> Therapist:
        """Add a clinician, and the letterhead of their superbills."""
        number = npi(self.chance) if has_npi else None
        facts = {"credentials": credentials, "npi": number, "licence_number": licence}
        clinician = self.write(Clinician, name=name, **facts)
        therapist = Therapist(clinician, self.letterhead(name, **facts))
        self.therapists.append(therapist)
        return therapist

    def letterhead(self, name: str, **facts: Any) -> str:
        address = {key: value for key, value in self.facts.items() if key.startswith("address_")}
        return self.write(
            Letterhead,
            name=name,
            phone=self.facts["phone"],
            tax_id_last4=self.tax_id_last4,
            **address,
            **facts,
        )

    def write(self, row: type[Row], **values: Any) -> str:
        """Write a row that exists from the beginning, and return its id."""
        made = self.chance.id(self.founded)
        own = {"practice_id": self.id, "id": made}
        self.rows.append(Entered(self.founded, row, with_all_columns(row, **own) | values))
        return made


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
