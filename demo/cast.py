"""The two practices of the demo, and clients that each show a feature of a portal."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from billing.entry.people import ContactLink, link_contact
from demo import stories
from demo.card_payments import Card, ContactCustomer, open_contact_customer
from demo.crowd import a_card, crowd, open_books
from demo.entries import Chance, Entered, numbered
from demo.lives import Habit, Insurance, Life
from demo.names import american_address, japanese_address
from demo.office import Office
from demo.practices import DOLLARS, HARBOR_LANE, KISO_STREET, YEN
from models import (
    CardBrand,
    DeclineReason,
    PaymentMethodKind,
    Relation,
)

ANXIETY = {
    "F41.1": "Generalized anxiety disorder",
    "F43.22": "Adjustment disorder with anxiety",
}


@dataclass(frozen=True)
class People:
    """The ids of the people that the demo issues tokens for."""

    practice_id: str
    client_id: str
    sibling_id: str
    guardian_id: str
    other_practice_id: str
    stranger_id: str


@dataclass
class Company:
    """A practice and its clients. `cast` maps roles of the demo to ids."""

    office: Office
    lives: list[Life] = field(default_factory=list)
    cast: dict[str, str] = field(default_factory=dict)

    def join(self, name: str, therapist: str, habit: Habit, *cards: Card, **facts: Any) -> Life:
        """Add a client with the usual sessions. The caller adds the rest of the story."""
        office = self.office
        chance = Chance(office.seed, office.key, name)
        books = open_books(office, therapist, chance, name, habit.began, **facts)
        for card in cards or self.usual_card(chance, name, habit):
            books.keep(card)
        life = Life(books, habit, therapist)
        life.attend()
        self.lives.append(life)
        return life

    def usual_card(self, chance: Chance, name: str, habit: Habit) -> list[Card]:
        needed = habit.pays_with == PaymentMethodKind.CARD
        return [a_card(self.office, chance, name, expires_in=20)] if needed else []

    def card(self, name: str, brand: CardBrand, expires_in: int, *, of: str | None = None) -> Card:
        """Return a card of the client's, or of the contact `of`."""
        card = a_card(self.office, self.office.chance, name, brand, expires_in=expires_in)
        return replace(card, contact_id=of)

    def paying_contact(self, name: str, email: str) -> str:
        """Add a contact with a customer at Stripe."""
        contact_id = self.office.add_contact(name, email)
        customer = f"cus_sandbox_{self.office.chance.digits(14)}"
        self.office.enter(open_contact_customer, ContactCustomer(contact_id, customer))
        return contact_id

    def entries(self) -> Iterator[Entered]:
        office = self.office
        yield from office.entered
        lives = [life.entries() for life in self.lives]
        yield from numbered(office.id, office.moment(0, 0), lives)


def harbor_lane(today: dt.date, seed: int, size: int = 12) -> Company:
    """Return a practice with Online Payments."""
    office = Office(today, seed, "Harbor Lane", HARBOR_LANE, DOLLARS, american_address)
    company = Company(office)
    adeyemi = office.employ("Ruth Adeyemi", "PhD", "PS2217")
    sorensen = office.employ("Jonas Sørensen", "LCSW", "LC8841")
    lee = office.employ("Marisol Lee", "LPC-Intern", "PC0093", has_npi=False)
    owes_something(company, adeyemi)
    comes_every_other_week(company, sorensen)
    minors_and_their_guardian(company, sorensen)
    a_couple(company, adeyemi)
    credits_and_refunds(company, adeyemi)
    corrections(company, sorensen)
    payments_that_failed_or_wait(company, sorensen)
    those_who_come_and_go(company, lee)
    company.lives += crowd(office, size)
    return company


def kiso_street(today: dt.date, seed: int, size: int = 6) -> Company:
    """Return a practice without Online Payments, in another currency and time zone."""
    office = Office(today, seed, "Kiso Street", KISO_STREET, YEN, japanese_address)
    company = Company(office)
    mori = office.employ("Keiko Mori", "MA", "CP-30417", has_npi=False)
    office.employ("Alan Fitzgerald", "PsyD", "CP-29950", has_npi=False)
    habit = Habit(pays_with=PaymentMethodKind.BANK_TRANSFER, last=3, last_invoiced=8)
    stranger = company.join("Haruka Tanaka-Weiss", mori, habit)
    company.cast["stranger"] = stranger.books.id
    stranger.invoice()
    stranger.pay(but={8, 36})
    stranger.settle(36, 5, PaymentMethodKind.CASH, 20000)
    stranger.document()
    company.lives += crowd(office, size)
    return company


# -- the clients of Harbor Lane --------------------------------------------------------------------


def owes_something(company: Company, therapist: str) -> None:
    """Add the client of the printed token: an unpaid invoice, and a part-paid one that
    is past due.
    """
    name = "Renée O'Hara-Lindqvist"
    habit = Habit(
        invoiced_every=14,
        pays_after=2,
        insurance=Insurance(ANXIETY),
        away=frozenset({65, 72, 163, 254, 359, 520}),
    )
    life = company.join(
        name,
        therapist,
        habit,
        company.card(name, CardBrand.VISA, 26),
        company.card(name, CardBrand.MASTERCARD, 1),
        company.card(name, CardBrand.AMEX, -4),
    )
    company.cast["client"] = life.books.id
    life.invoice()
    life.pay(but={10, 24, 150, 164, 206, 304})
    stories.pays_all(life, 148)
    stories.is_declined(life, 24, 13, DeclineReason.INSUFFICIENT_FUNDS)
    life.settle(24, 12, PaymentMethodKind.CHECK, 15000)
    stories.is_given_credit(life, 5, 2500)
    stories.cancels_late(life, 65, 8000)
    stories.asks_for_a_letter(life, 120, 4000)
    # The client paid too much by mistake, and got it back.
    stories.overpays(life, 206, 203, 17500)
    stories.is_refunded(life, 199, 17500)
    life.settle(304, 302, PaymentMethodKind.CHECK, 30000)
    stories.is_written_off(life, 304, 280)
    stories.is_adjusted(life, 402, 401, -2500)
    life.document(incomplete=3)


def comes_every_other_week(company: Company, therapist: str) -> None:
    """Add a client with a last invoice and a last statement that are not shared yet."""
    habit = Habit("90834", 14, last=4, fee_minor=12500, last_invoiced=12, pays_after=5)
    life = company.join("Trần Thị Ngọc", therapist, habit)
    company.cast["sibling"] = life.books.id
    life.invoice(but={12})
    life.issue(12, is_shared=False)
    life.pay(but={12, 40})
    life.document(unshared=1)


def minors_and_their_guardian(company: Company, therapist: str) -> None:
    name = "Lucía Castañeda Ruiz"
    guardian = company.paying_contact(name, "lucia.castaneda@example.com")
    company.cast["guardian"] = guardian
    # Both guardians of one of them pay, each with a card of their own.
    father = company.paying_contact("Andrés Marín Soler", "andres.marin@example.com")
    sofia = company.join(
        "Sofía Marín Castañeda",
        therapist,
        Habit(
            service="90834",
            began=410,
            last_invoiced=17,
            insurance=Insurance({"F40.10": "Social phobia, unspecified"}, "10"),
        ),
        company.card(name, CardBrand.DISCOVER, 14, of=guardian),
        company.card("Andrés Marín Soler", CardBrand.VISA, 26, of=father),
        age=15,
        email=None,
        phone=None,
    )
    sofia.invoice(but={17})
    sofia.issue(17, notes="Includes the call with Sofía's school, which is not billed.")
    sofia.pay(but={17})
    sofia.settle(17, 6, PaymentMethodKind.CASH, 20000)
    sofia.document()
    mateo = company.join(
        "Mateo Marín Castañeda",
        therapist,
        Habit(service="90834", every=14, began=200, last=6, last_invoiced=9),
        company.card(name, CardBrand.DISCOVER, 14, of=guardian),
        age=9,
        email=None,
        phone=None,
    )
    mateo.invoice()
    mateo.pay()
    mateo.document()
    for child in (sofia, mateo):
        link(child, guardian, Relation.GUARDIAN, sees_documents=True, can_pay=True)
    link(sofia, father, Relation.PARENT, sees_documents=False, can_pay=True)


def a_couple(company: Company, therapist: str) -> None:
    """Add a client with a partner who sees the documents and doesn't pay."""
    partner = company.office.add_contact("Priya Raghunathan", "priya.raghunathan@example.com")
    life = company.join("Daniel Whitfield-Osei", therapist, Habit("90847", 14, last=5))
    usual(life)
    link(life, partner, Relation.PARTNER, sees_documents=True, can_pay=False)
    # A payer need not see the documents.
    employer = company.office.add_contact("Ulrike Brandt")
    other = company.join("Matthias Brandt", therapist, Habit("90834", 14, began=300, last=8))
    usual(other)
    link(other, employer, Relation.PARENT, sees_documents=False, can_pay=True)


def credits_and_refunds(company: Company, therapist: str) -> None:
    courtesy = company.join("Zoë Müller", therapist, Habit(began=365, hour=11))
    courtesy.invoice()
    courtesy.pay(but={10})
    stories.is_given_credit(courtesy, 8, 10000)
    stories.credit_is_put_toward(courtesy, 10, 6, 6000)
    courtesy.document()

    ahead = company.join("Søren Ågård", therapist, Habit(every=14, began=300, hour=12))
    ahead.invoice()
    ahead.pay(but={10})
    stories.overpays(ahead, 10, 5, 5000)
    ahead.document()

    habit = Habit(began=420, hour=13, pays_with=PaymentMethodKind.CHECK)
    refunded = company.join("Fionnuala O'Neill", therapist, habit)
    refunded.invoice()
    refunded.pay(but={10, 38, 66})
    stories.pays_all(refunded, 35)
    stories.is_refunded(refunded, 15, 10000)
    refunded.document()


def corrections(company: Company, therapist: str) -> None:
    overcharged = company.join("Li Mingyue 李明月", therapist, Habit(began=500, hour=9))
    overcharged.invoice()
    overcharged.pay(but={38, 10})
    stories.fee_is_corrected(overcharged, 30, 4000)
    overcharged.settle(38, 21)
    overcharged.document()

    voided = company.join("Siân Llewellyn", therapist, Habit(every=14, began=600, last=3))
    voided.invoice(but={38})
    stories.is_voided(voided, 38, 30)
    stories.pays_all(voided, 29)
    voided.pay()
    voided.document()

    adjusted = company.join("Wanjirũ Kamau", therapist, Habit("90834", began=250, last=1))
    adjusted.invoice()
    adjusted.pay(but={10})
    stories.is_given_credit(adjusted, 6, 3000)
    stories.is_given_credit(adjusted, 4, -1000)
    adjusted.document()

    gone = company.join(
        "Tariq al-Masri", therapist, Habit("90834", began=520, last=200, last_invoiced=196)
    )
    gone.invoice()
    gone.pay(but={196})
    stories.is_written_off(gone, 196, 100)
    gone.document()


def payments_that_failed_or_wait(company: Company, therapist: str) -> None:
    life = company.join("Aarav D'Souza", therapist, Habit("90834", began=330, last=5, hour=14))
    life.invoice()
    life.pay(but={10})
    stories.is_declined(life, 10, 7, DeclineReason.GENERIC)
    stories.is_given_credit(life, 3, 1500)
    stories.is_paying(life, 1)
    life.document()


def those_who_come_and_go(company: Company, therapist: str) -> None:
    """Add a client with a clinician without an NPI, so that superbills lack it, and a
    new client.
    """
    insurance = Insurance({"F51.01": "Primary insomnia"}, "02")
    habit = Habit(
        "90834", began=150, last=3, pays_with=PaymentMethodKind.CHECK, insurance=insurance
    )
    usual(company.join("Thandiwe Mokoena", therapist, habit))
    new = Habit("90837", began=6, last=6, pays_with=PaymentMethodKind.CASH)
    company.join("Hiroshi Bauer", therapist, new, date_of_birth=None)


def usual(life: Life) -> None:
    life.invoice()
    life.pay()
    life.document()


def link(
    life: Life, contact_id: str, relation: Relation, *, sees_documents: bool, can_pay: bool
) -> None:
    rights = ContactLink(contact_id, relation, sees_documents, can_pay)
    life.books.enter(link_contact, rights)
