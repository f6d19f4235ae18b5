"""Clients with random lives, all different, in any number."""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

from billing.entry.people import ClientDetails
from demo import stories
from demo.card_payments import Card
from demo.client_books import ClientBooks
from demo.entries import Chance
from demo.lives import TWO_YEARS, Habit, Insurance, Life
from demo.names import email, strangers
from demo.office import Office
from models import CardBrand, PaymentMethodKind

DIAGNOSES = {
    "F32.1": "Major depressive disorder, single episode, moderate",
    "F33.1": "Major depressive disorder, recurrent, moderate",
    "F40.10": "Social phobia, unspecified",
    "F41.1": "Generalized anxiety disorder",
    "F43.10": "Post-traumatic stress disorder, unspecified",
    "F43.23": "Adjustment disorder with mixed anxiety and depressed mood",
    "F50.81": "Binge eating disorder",
    "F51.01": "Primary insomnia",
}
BRANDS = (CardBrand.VISA, CardBrand.MASTERCARD, CardBrand.AMEX, CardBrand.DISCOVER)
# The last digits of Stripe's published test cards; the sandbox takes no others.
TEST_CARDS = dict(zip(BRANDS, ("4242", "4444", "0005", "1117"), strict=True))
PAID_WITHOUT_A_CARD = (
    PaymentMethodKind.BANK_TRANSFER,
    PaymentMethodKind.CASH,
    PaymentMethodKind.CHECK,
)
# The number of days after which an unpaid invoice is written off.
GIVEN_UP_AFTER = 120


def crowd(
    office: Office, size: int, habit: Callable[[Office, Chance], Habit] | None = None
) -> Iterator[Life]:
    """Yield a number of clients. A larger number only adds clients after the same first ones."""
    names = strangers(Chance(office.seed, office.key, "names"))
    for number in range(size):
        chance = Chance(office.seed, office.key, number)
        yield drawn(office, chance, next(names), (habit or weekly_habit)(office, chance))


def drawn(office: Office, chance: Chance, name: str, habit: Habit) -> Life:
    therapist = chance.random.choice(office.therapists)
    books = open_books(office, therapist, chance, name, habit.began)
    if habit.pays_with == PaymentMethodKind.CARD:
        books.keep(a_card(office, chance, name))
    life = Life(books, habit, therapist)
    life.attend()
    for day in habit.away:
        if chance.happens(0.2):
            stories.cancels_late(life, day, office.services["90834"].fee_minor // 2)
    for day in habit.invoices():
        an_invoice(life, chance, day)
    life.document()
    return life


def an_invoice(life: Life, chance: Chance, day: int) -> None:
    """Issue an invoice, and pay it soon, late or in two parts, void it, or write it off."""
    soon = day - life.habit.pays_after
    then, late, hopeless = soon - 4, soon - 25, day - GIVEN_UP_AFTER
    fee = life.office.services[life.habit.service].fee_minor
    if then > 0 and chance.happens(0.02):
        stories.is_voided(life, day, then)
        life.settle(then, max(late, 1))
    else:
        life.issue(day)
    if soon > 0 and chance.happens(0.85):
        life.settle(day, soon)
    elif soon > 0 and chance.happens(0.5):
        life.settle(day, soon, PaymentMethodKind.CASH, fee // 2)
    if late > 0 and chance.happens(0.8):
        life.settle(day, late)
    if hopeless > 0:
        stories.is_written_off(life, day, hopeless)
    if then > 0 and chance.happens(0.015):
        stories.is_given_credit(life, then, fee // 5)
    if then > 0 and chance.happens(0.01):
        stories.is_refunded(life, then, fee // 4)


# -- random draws ----------------------------------------------------------------------------------


def weekly_habit(office: Office, chance: Chance) -> Habit:
    """Return the habit of a client who still comes, since some day of the last two years."""
    every = chance.random.choice((7, 7, 14))
    last, began = chance.random.randint(1, every), chance.random.randint(60, TWO_YEARS)
    return drawn_habit(office, chance, every, last, began, insured=0.3)


def drawn_habit(
    office: Office,
    chance: Chance,
    every: int,
    last: int,
    began: int,
    *,
    insured: float,
    **facts: Any,
) -> Habit:
    """Return a habit with these days of sessions, and the rest at random."""
    draw = chance.random
    with_card = office.takes_cards and chance.happens(0.8)
    code = draw.choice(list(DIAGNOSES))
    drawn: dict[str, Any] = {
        "service": draw.choice(("90834", "90837", "90837", "90847")),
        "hour": draw.randint(8, 15),
        "last_invoiced": draw.randint(3, 20),
        "due_in": draw.choice((7, 14, 30)),
        "pays_with": PaymentMethodKind.CARD if with_card else draw.choice(PAID_WITHOUT_A_CARD),
        "pays_after": draw.randint(1, 12),
        "insurance": Insurance({code: DIAGNOSES[code]}) if chance.happens(insured) else None,
        "away": frozenset(day for day in range(last, began, every) if chance.happens(0.07)),
    }
    return Habit(every=every, last=last, began=began, **drawn | facts)


def open_books(
    office: Office,
    therapist: str,
    chance: Chance,
    name: str,
    began: int,
    *,
    age: int | None = None,
    **facts: Any,
) -> ClientBooks:
    """Open the books of a new client, some days before the first session."""
    draw = chance.random
    years = draw.randint(19, 78) if age is None else age
    details: dict[str, Any] = {
        "address": office.address(chance),
        "email": email(name),
        "phone": f"+1 207 555 01{draw.randint(0, 99):02}" if chance.happens(0.8) else None,
        "date_of_birth": office.today - dt.timedelta(years * 365.25 + draw.randint(30, 330)),
        "clinician_id": therapist,
    }
    client = ClientDetails(name, **details | facts)
    return ClientBooks(office, chance, office.moment(began + 3, 16), client)


def a_card(
    office: Office,
    chance: Chance,
    holder: str,
    brand: CardBrand | None = None,
    *,
    expires_in: int | None = None,
) -> Card:
    """Return a card that expires in a number of months; with a negative number it has expired."""
    months = expires_in if expires_in is not None else chance.random.randint(2, 40)
    network = brand or chance.random.choice(BRANDS)
    year, month = divmod(office.today.year * 12 + office.today.month - 1 + months, 12)
    billing_zip = chance.random.choice(("04101", "04103", "04106"))
    return Card(network, TEST_CARDS[network], year, month + 1, holder, billing_zip)
