"""Types of the schema, each read from a row: a field is an attribute, or else a column.

An attribute returns rows, which are wrapped in the field's type according to the schema.
"""

import datetime as dt
from typing import Any

from graphql import GraphQLList, GraphQLObjectType, GraphQLOutputType, get_nullable_type

import models
from models import ViewerKind
from tests.oracle import money
from tests.oracle.pages import Whole
from tests.oracle.scalars import decimal
from tests.oracle.world import PROGRAMS, World

SHOWN: dict[str, type["Shown"]] = {}


class Shown:
    """A row under a type's name. Columns of amounts are read without their `_minor`."""

    prefix = ""

    def __init_subclass__(cls) -> None:
        SHOWN[cls.__name__] = cls

    def __init__(self, world: World, row: Any) -> None:
        self.world, self.row = world, row

    def __getattr__(self, name: str) -> Any:
        return getattr(self.row, f"{name}_minor" if hasattr(self.row, f"{name}_minor") else name)

    @property
    def id(self) -> str:
        return f"{self.prefix}_{self.row.id}"

    # Fields of several types.

    @property
    def practice(self) -> Any:
        return self.world.practice

    @property
    def client(self) -> Any:
        return self.world.by_id(models.Client, self.row.client_id)

    @property
    def clinician(self) -> Any:
        return self.world.by_id(models.Clinician, self.row.clinician_id)

    @property
    def provider(self) -> Any:
        return self.world.by_id(models.Letterhead, self.row.letterhead_id)

    @property
    def address(self) -> Any:
        return self.row if self.row.address_line1 is not None else None

    @property
    def session(self) -> Any:
        found = self.world.by_id(models.Session, self.row.session_id)
        return found if found and self.world.opens(found.client_id) else None

    @property
    def payment(self) -> Any:
        """Return the payment, which is visible with the row that names it."""
        return self.world.by_id(models.Payment, self.row.payment_id)

    def parts(self, model: type[models.Row], **columns: Any) -> list[Any]:
        """Return the parts of a document, in their order on paper."""
        return sorted(self.world.where(model, **columns), key=lambda row: row.position)


def shown(world: World, type_: GraphQLOutputType, value: Any) -> Any:
    """Wrap a row, or each row of a list, in the schema's type."""
    bare = get_nullable_type(type_)
    if value is None:
        return None
    if isinstance(bare, GraphQLList):
        return [shown(world, bare.of_type, item) for item in value]
    if isinstance(value, Whole | Shown) or not isinstance(bare, GraphQLObjectType):
        return value
    return SHOWN.get(bare.name, Shown)(world, value)


class Viewer(Shown):
    """The viewer of a token's row."""

    @property
    def person(self) -> Any:
        if self.row.kind is ViewerKind.CLIENT:
            return self.world.by_id(models.Client, self.row.client_id)
        return self.world.by_id(models.Contact, self.row.contact_id)

    @property
    def name(self) -> str:
        return str((self.person or self.row).name)

    @property
    def email(self) -> str | None:
        return self.person.email if self.person else None

    @property
    def scopes(self) -> list[str]:
        return sorted(self.row.scopes)

    @property
    def clients(self) -> list[Any]:
        return [] if self.row.kind in PROGRAMS else self.world.clients()

    @property
    def identities(self) -> list[Any]:
        """Return the practice's people with the address of the sign-in, each with its kind."""
        people = [*self.world.where(models.Client), *self.world.where(models.Contact)]
        found = [one for one in people if self.row.email and mailbox(one.email) == self.row.email]
        return [Identity(self.world, one) for one in sorted(found, key=kind_and_id)]

    @property
    def sign_ins(self) -> list[Any]:
        """Return sign-ins used in the last quarter of an hour by the same person or address.

        Sign-ins of a person whose address has changed since have ended.
        """
        now, quarter = self.world.now, dt.timedelta(minutes=15)
        found = [
            one
            for one in self.world.where(models.Token)
            if one.is_sign_in
            and self.is_own(one)
            and mailbox(Viewer(self.world, one).email) == one.email is not None
            and one.last_used_at > now - quarter
            and one.expires_at > now
            and one.revoked_at is None
        ]
        return sorted(found, key=lambda one: (one.created_at, one.id), reverse=True)

    def is_own(self, sign_in: Any) -> bool:
        row = self.row
        if row.kind in PROGRAMS:
            return False
        same_person = (sign_in.client_id, sign_in.contact_id) == (row.client_id, row.contact_id)
        return same_person or (row.email is not None and sign_in.email == row.email)


class Identity(Shown):
    """The identity of a client's or a contact's row."""

    prefix = "idn"

    @property
    def kind(self) -> ViewerKind:
        return ViewerKind.CLIENT if hasattr(self.row, "date_of_birth") else ViewerKind.CONTACT

    @property
    def is_current(self) -> bool:
        token = self.world.token
        return self.row.id in (token.client_id, token.contact_id)


def kind_and_id(person: Any) -> tuple[bool, str]:
    return not hasattr(person, "date_of_birth"), person.id


def mailbox(email: str | None) -> str | None:
    """Return an address for comparison: without surrounding blanks, with ASCII letters in lower
    case.
    """
    return email and email.strip(" ").encode().lower().decode()


class SignIn(Shown):
    """The sign-in of a token's row."""

    prefix = "sgn"

    @property
    def started_at(self) -> Any:
        return self.row.created_at

    @property
    def is_current(self) -> bool:
        return bool(self.row.id == self.world.token_id)


class Clinician(Shown):
    prefix = "cln"


class Address(Shown):
    """The address columns of a row."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.row, f"address_{name}")


class Money(Shown):
    """An amount in minor units."""

    @property
    def currency(self) -> str:
        return str(self.world.practice.currency)

    @property
    def minor_units(self) -> int:
        return int(self.row)

    @property
    def amount(self) -> str:
        return decimal(self.row, money.DIGITS[self.currency])


class Permission(Shown):
    """A permission, with the reasons against it, the first to be given first."""

    @property
    def is_allowed(self) -> bool:
        return self.reason is None

    @property
    def reason(self) -> str | None:
        return next(iter(self.row), None)


class Balance(Shown):
    """The balance of a client's row, at the end of a day or now."""

    def __init__(self, world: World, row: Any, day: dt.date | None = None) -> None:
        super().__init__(world, row)
        self.day = dt.date.max if day is None else day

    @property
    def amount(self) -> int:
        return sum(term.amount for term in self.terms)

    @property
    def payable(self) -> int:
        return money.payable(self.world, self.row.id, money.may_be_paid(self.world, self.row.id))

    @property
    def credit_applied(self) -> int:
        return money.may_be_paid(self.world, self.row.id) - self.payable

    @property
    def invoices(self) -> list["PayableInvoice"]:
        found = money.payable_invoices(self.world, self.row.id)
        return [PayableInvoice(self.world, invoice) for invoice in found]

    @property
    def terms(self) -> list[money.Term]:
        return money.terms(self.world, self.row.id, self.day)

    @property
    def uninvoiced(self) -> int:
        return sum(session.fee_minor for session in money.uninvoiced(self.world, self.row.id))


class PayableInvoice(Shown):
    """A due invoice, which the viewer may not see."""

    @property
    def amount_due(self) -> int:
        return money.due(self.world, self.row)

    @property
    def invoice(self) -> Any:
        return self.row if self.world.reads(self.row) else None
