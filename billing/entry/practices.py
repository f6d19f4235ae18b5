"""Practices: their details, their logo, and changes of them."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, ClassVar

from billing.entry import validation as check
from billing.entry.errors import EntryError, EntryErrorCode
from billing.entry.people import PostalAddress, TaxId, address_columns, letterhead_columns
from billing.entry.practice_facts import PracticeFacts
from billing.entry.rows import Draft, Values
from models import Letterhead, Logo, Practice

MOST_DAYS_UNTIL_DUE = 3650


@dataclass(frozen=True)
class PracticeDetails:
    """The details of a practice. Its currency and its time zone never change.

    Without a Stripe account Online Payments are off. An invoice that is issued without a due date
    is due `days_until_due` days later.
    """

    kind: ClassVar[str] = "practice"

    name: str
    time_zone: str
    currency: str
    locale: str
    phone: str | None = None
    email: str | None = None
    portal_url: str | None = None
    stripe_account: str | None = None
    clients_remove_cards: bool = False
    address: PostalAddress | None = None
    npi: str | None = None
    tax_id: TaxId | None = None
    days_until_due: int | None = None

    def __post_init__(self) -> None:
        check.check_text("name", self.name)
        check.check_time_zone("time_zone", self.time_zone)
        check.check_currency("currency", self.currency)
        check.check_locale("locale", self.locale)
        check.check_optional_text("phone", self.phone)
        check.check_email("email", self.email)
        check.check_portal_url("portal_url", self.portal_url)
        check.check_optional_form("stripe_account", self.stripe_account, check.STRIPE_ACCOUNT)
        check.check_npi("npi", self.npi)
        if self.days_until_due is not None:
            check.check_whole("days_until_due", self.days_until_due, 0, MOST_DAYS_UNTIL_DUE)

    @property
    def columns(self) -> Values:
        names = (
            "name time_zone currency locale phone email portal_url stripe_account"
            " clients_remove_cards days_until_due"
        ).split()
        return {name: getattr(self, name) for name in names} | address_columns(self.address)

    @property
    def letterhead(self) -> Values:
        return {
            "name": self.name,
            "npi": self.npi,
            "phone": self.phone,
            **letterhead_columns(self.address, self.tax_id),
        }


def add_practice(draft: Draft, details: PracticeDetails) -> str:
    """Add the practice of the draft, with its letterhead."""
    draft.insert(Practice, id=draft.practice_id, **details.columns)
    draft.insert(Letterhead, **details.letterhead)
    return draft.practice_id


def change_practice(draft: Draft, facts: PracticeFacts, details: PracticeDetails) -> str:
    """Change a practice. If its letterhead changes, its documents to come have a new one."""
    for name in ("currency", "time_zone"):
        if facts.values[name] != getattr(details, name):
            raise EntryError(
                EntryErrorCode.CHANGED_AFTER_ENTRY,
                f"The {name} of a practice never changes: create another practice.",
                name,
            )
    draft.alter(Practice, {"id": facts.id}, **details.columns)
    if not has_letterhead(facts, details):
        draft.insert(Letterhead, **details.letterhead)
    return facts.id


def has_letterhead(facts: PracticeFacts, details: PracticeDetails) -> bool:
    """Return whether the practice's current letterhead has these details."""
    current = facts.letterheads.get(None)
    return current is not None and all(
        current[name] == value for name, value in details.letterhead.items()
    )


def current_details(facts: PracticeFacts) -> PracticeDetails:
    """Return the details of a practice as they are stored."""
    values, letterhead = facts.values, facts.letterheads.get(None, {})
    names = PracticeDetails.__dataclass_fields__.keys() & values.keys()
    return PracticeDetails(
        **{name: values[name] for name in names},
        address=stored_address(values),
        npi=letterhead.get("npi"),
        tax_id=stored_tax_id(letterhead),
    )


def stored_address(values: Values) -> PostalAddress | None:
    if values["address_line1"] is None:
        return None
    return PostalAddress(
        **{name: values[f"address_{name}"] for name in PostalAddress.__annotations__}
    )


def stored_tax_id(letterhead: Values) -> TaxId | None:
    last4 = letterhead.get("tax_id_last4")
    return TaxId(last4, letterhead["tax_id_encrypted"]) if last4 is not None else None


# -- the logo --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PracticeLogo:
    """The logo of documents that are issued on a day or later."""

    kind: ClassVar[str] = "logo"

    content: bytes
    since: dt.date | None = None

    def __post_init__(self) -> None:
        check.check_optional_day("since", self.since)


def set_logo(draft: Draft, facts: PracticeFacts, logo: PracticeLogo) -> str:
    """Set a practice's logo, by default from today on. Issued documents keep theirs."""
    day: Any = logo.since or draft.today
    draft.delete(Logo, since=day)
    draft.insert(Logo, since=day, content=logo.content)
    return facts.id
