"""Many practices with many clients, for a database of realistic size.

The same date and seed give the same rows. Practices don't depend on each other, so they may be made
in parallel and in any order.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from billing.entry.people import ContactLink, link_contact
from billing.entry.practices import PracticeDetails
from demo import stories
from demo.crowd import crowd, drawn_habit
from demo.entries import Chance, Entered, numbered
from demo.lives import TWO_YEARS, Habit, Life
from demo.names import FAMILY, GIVEN
from demo.office import Office
from demo.places import PLACES, Town
from models import DeclineReason, PaymentMethodKind, Relation

# Stripe knows none of these cards and payments, so the daily comparison would remove them.
NEVER = dt.datetime(2999, 1, 1, tzinfo=dt.UTC)
# The number of the practice's clients that one clinician sees in two years.
CLIENTS_A_CLINICIAN = 60
STANDS_BY = ("Harbor", "Orchard", "Meadow", "Lantern", "Bridge", "Quarry", "Cedar", "Tidewater")
IS_CALLED = ("Therapy", "Counselling", "Psychology", "Family Practice", "Wellbeing")
CREDENTIALS = ("PhD", "PsyD", "LCSW", "LPC", "LMFT")


@dataclass(frozen=True)
class PracticePlan:
    """One of the practices to make."""

    today: dt.date
    seed: int
    number: int
    clients: int


def plans(today: dt.date, seed: int, clients: int, practices: int) -> list[PracticePlan]:
    """Return the plans: clients are spread evenly, with at least one in each practice."""
    every, more = divmod(clients, practices)
    return [PracticePlan(today, seed, at, every + (at < more)) for at in range(practices)]


def office(plan: PracticePlan) -> Office:
    """Return the practice, with its clinicians."""
    place = PLACES[plan.number % len(PLACES)]
    key = f"practice {plan.number}"
    chance = Chance(plan.seed, key, "staff")
    details = practice_details(plan, place)
    made = Office(plan.today, plan.seed, key, details, place.services, place.address)
    made.practice.values["compare_after"] = NEVER
    for _ in range(max(2, plan.clients // CLIENTS_A_CLINICIAN)):
        name = f"{chance.random.choice(GIVEN)} {chance.random.choice(FAMILY)}"
        licence = f"L{chance.digits(5)}"
        has_npi = place.country == "US" and chance.happens(0.9)
        made.employ(name, chance.random.choice(CREDENTIALS), licence, has_npi=has_npi)
    return made


def practice_entries(plan: PracticePlan) -> Iterator[Entered]:
    """Yield every row of the practice, in the order in which it could have been written."""
    made = office(plan)
    lives = list(crowd(made, plan.clients, a_habit))
    for number, life in enumerate(lives):
        add_contacts(life, Chance(plan.seed, made.key, number, "contact"))
        plan_declines(life, Chance(plan.seed, made.key, number, "declines"))
    yield from made.entered
    yield from numbered(made.id, made.moment(0, 0), [life.entries() for life in lives])


# -- random draws ----------------------------------------------------------------------------------


def practice_details(plan: PracticePlan, place: Town) -> PracticeDetails:
    chance = Chance(plan.seed, f"practice {plan.number}", "facts")
    name = f"{chance.random.choice(STANDS_BY)} {chance.random.choice(IS_CALLED)} {plan.number + 1}"
    domain = f"{name.lower().replace(' ', '-')}.example.com"
    return PracticeDetails(
        name,
        place.time_zone,
        place.currency,
        place.locale,
        phone=f"{place.phone}{chance.digits(2)}",
        email=f"billing@{domain}",
        portal_url=f"https://portal.{domain}",
        stripe_account=f"acct_sandbox_{plan.number}" if place.takes_cards else None,
        clients_remove_cards=chance.happens(0.5),
        address=place.address(chance),
    )


def a_habit(office: Office, chance: Chance) -> Habit:
    """Return some months of sessions in the last two years. One client in three still comes."""
    draw = chance.random
    every = draw.choice((7, 7, 7, 14))
    lasts = draw.randint(4, 33) * every
    facts: dict[str, Any] = {"gets_statements": chance.happens(0.5)}
    last = draw.randint(1, every)
    if chance.happens(0.65):
        last = draw.randint(30, TWO_YEARS - lasts)
        facts["last_invoiced"] = last - draw.randint(0, 20)
    return drawn_habit(office, chance, every, last, last + lasts, insured=0.2, **facts)


def plan_declines(life: Life, chance: Chance) -> None:
    """Plan occasional declines of the card, and payments still under way."""
    if life.habit.pays_with != PaymentMethodKind.CARD:
        return
    for day in life.habit.invoices():
        if day > 1 and chance.happens(0.04):
            stories.is_declined(life, day, day - 1, chance.random.choice(list(DeclineReason)))
    if chance.happens(0.05):
        stories.is_paying(life, 1)


def add_contacts(life: Life, chance: Chance) -> None:
    """Give one client in twenty a contact that may see documents, or pay."""
    if not chance.happens(0.05):
        return
    name = f"{chance.random.choice(GIVEN)} {chance.random.choice(FAMILY)}"
    contact_id = life.office.add_contact(name)
    sees_documents = chance.happens(0.7)
    relation = chance.random.choice(list(Relation))
    can_pay = not sees_documents or chance.happens(0.5)
    life.books.enter(link_contact, ContactLink(contact_id, relation, sees_documents, can_pay))
