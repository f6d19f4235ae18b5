"""Three practices with the same families, in which every relation between two people exists.

Two practices have ids of their own. The third is a twin: each of its rows has the id of a row of
the first, with other amounts, days, words and rights, so that a missing condition on the practice
shows.
"""

import datetime as dt
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Date, Text
from sqlalchemy.types import TypeEngine

from demo.many import NEVER
from identity.token_keys import hashed
from identity.tokens import PERSONAL_SCOPES, new_secret
from models import (
    READ_SCOPES,
    Client,
    ClientNamePart,
    Clinician,
    Contact,
    ContactRight,
    Invoice,
    InvoiceLine,
    Letterhead,
    Payment,
    PaymentMethod,
    PaymentState,
    Practice,
    Relation,
    Row,
    Scope,
    Session,
    Statement,
    Superbill,
    SuperbillLine,
    Token,
    ViewerKind,
)
from models.names import fold_name, name_parts
from models.row import Instant
from tests.support.portal import KEY
from tests.support.practices.bookkeeping import Books, Entered
from tests.support.practices.histories import Lives
from tests.support.practices.random_values import MOMENT, NOW, TODAY

CLIENTS = ("Ana Prieto", "Ben Prieto", "Cleo Prieto", "Dora Osei", "Emil Anders")
# Rights to see documents and to pay, and their last day.
BOTH, SEES, PAYS = (True, True, None), (True, False, TODAY), (False, True, None)
ENDED = (True, True, TODAY - dt.timedelta(days=1))
Rights = Mapping[str, Mapping[str, tuple[bool, bool, dt.date | None]]]
RIGHTS: Rights = {
    "guardian of several": {
        "Ana Prieto": BOTH,
        "Ben Prieto": SEES,
        "Cleo Prieto": PAYS,
        "Dora Osei": ENDED,
    },
    "guardian of one": {"Ana Prieto": BOTH, "Dora Osei": ENDED},
    "contact who sees": {"Cleo Prieto": SEES},
    "contact who pays": {"Ben Prieto": PAYS},
    "contact of nobody": {},
}
TWIN_RIGHTS: Rights = {
    "guardian of several": {
        "Dora Osei": BOTH,
        "Ana Prieto": PAYS,
        "Emil Anders": SEES,
        "Cleo Prieto": ENDED,
    },
    "guardian of one": {"Ben Prieto": BOTH},
    "contact who sees": {"Ana Prieto": SEES},
    "contact who pays": {"Cleo Prieto": PAYS},
    "contact of nobody": {},
}
PROGRAMS: Mapping[str, tuple[Scope, ...]] = {
    "dashboard without a scope": (),
    "dashboard of sums": (Scope.AGGREGATES_READ,),
    "dashboard of money": (Scope.BILLING_READ,),
    "dashboard of money and health": (Scope.BILLING_READ, Scope.PHI_READ),
    "dashboard of everything": tuple(sorted(READ_SCOPES)),
    "integration that writes": (Scope.BILLING_WRITE,),
    "integration of everything": tuple(Scope),
}
# Two of the clients have tokens; the other clients are strangers to them.
SORTS = (*CLIENTS[:2], *RIGHTS, *PROGRAMS)
# These kinds of viewers also have tokens that do not work.
STALE_SORTS = (CLIENTS[0], "guardian of several", "dashboard of everything")
# The practice that should stay invisible to nearly all viewers.
OTHER = "EUR"


@dataclass(frozen=True)
class Bearer:
    """The holder of a token: a kind of viewer in one of the practices."""

    sort: str
    practice: str
    practice_id: str
    kind: ViewerKind
    subject_id: str | None
    scopes: tuple[Scope, ...]
    token_id: str
    secret: str = field(repr=False)
    # "live", or the reason why the token does not work.
    state: str = "live"

    @property
    def is_program(self) -> bool:
        return self.subject_id is None

    @property
    def reads_health(self) -> bool:
        return Scope.PHI_READ in self.scopes

    @property
    def reads_bills(self) -> bool:
        return Scope.BILLING_READ in self.scopes

    @property
    def reads_sums(self) -> bool:
        return Scope.AGGREGATES_READ in self.scopes

    def __str__(self) -> str:
        return f"{self.practice} {self.sort}"


@dataclass
class Households:
    """The rows of each practice by its name, and all holders of tokens."""

    rows: dict[str, dict[type[Row], list[Entered]]] = field(default_factory=dict)
    bearers: list[Bearer] = field(default_factory=list)

    @property
    def all_rows(self) -> dict[type[Row], list[Entered]]:
        models = {model for rows in self.rows.values() for model in rows}
        return {
            model: [row for rows in self.rows.values() for row in rows.get(model, ())]
            for model in models
        }

    def of(self, sort: str) -> list[Bearer]:
        return [one for one in self.bearers if one.sort == sort and one.state == "live"]

    def enter(self, practice: str, books: Books, rights: Rights) -> None:
        Guests(self, practice, books).invite(rights)
        self.rows[practice] = dict(books.rows)


def founded() -> Households:
    households = Households()
    first = family(random.Random("first"), "USD")
    twin = twin_of(first)
    households.enter("USD", first, RIGHTS)
    households.enter(OTHER, family(random.Random("second"), OTHER), RIGHTS)
    households.enter("twin", twin, TWIN_RIGHTS)
    return households


# -- rows of five clients in a practice ------------------------------------------------------------


def family(chance: random.Random, currency: str) -> Books:
    books = Books(chance)
    books.enter(
        Practice,
        id=books.practice_id,
        name=f"Practice {currency}",
        time_zone="America/New_York",
        currency=currency,
        locale="en-US",
        stripe_account=f"acct_sandbox_{currency}",
        clients_remove_cards=True,
        # Stripe has no objects of these rows: a comparison would remove their cards.
        compare_after=NEVER,
    )
    clinicians = [books.enter(Clinician, name=name)["id"] for name in ("Ruth", "Ngozi")]
    letterheads = [books.enter(Letterhead, name="Practice")["id"]]
    for number, name in enumerate(CLIENTS):
        moment = MOMENT - dt.timedelta(days=number)
        clinician_id = clinicians[number % 2]
        client = books.enter(Client, name=name, created_at=moment, clinician_id=clinician_id)
        name_anew(client)
        live(Lives(books, clinicians, letterheads), client["id"])
    cross(books)
    for contact in RIGHTS:
        books.enter(Contact, name=f"The {contact}")
    hold(books)
    for client in books.rows[Client]:
        for part in name_parts(client):
            books.enter(ClientNamePart, **part)
    return books


def hold(books: Books) -> None:
    """Give each contact a card of their own and a shared one for each client, whatever the rights
    are, and let contacts pay some of the payments.
    """
    contacts = [row["id"] for row in books.rows[Contact]]
    for client in books.rows[Client]:
        for number, contact_id in enumerate(contacts):
            for is_shared in (False, True):
                books.card(
                    client["id"],
                    MOMENT - dt.timedelta(days=number),
                    (2030, 1),
                    contact_id=contact_id,
                    is_shared=is_shared,
                    is_default=not is_shared,
                )
        own = books.of(PaymentMethod, client_id=client["id"], contact_id=None, removed_at=None)
        own[-1]["is_shared"] = True
        payers = [None, *contacts]
        for number, payment in enumerate(books.of(Payment, client_id=client["id"])):
            if payer := payers[number % len(payers)]:
                books.hand_over(payment, payer)


def live(lives: Lives, client_id: str) -> None:
    """Insert one row of each visible kind, and of each kind that only the practice sees."""
    books = lives.books
    lives.one_of_each(client_id)
    for state in (PaymentState.FAILED, PaymentState.CANCELED):
        books.attempt(client_id, 60, TODAY, state)
    lives.session(client_id, 110)
    lives.session(client_id, 120)
    unshared = [(lives.session(client_id, 130), 130)]
    invoice = lives.invoice(client_id, unshared, shared_at=None)
    books.allocate(invoice, 30, TODAY, books.pay(client_id, 30, TODAY)["id"])
    for model in (Statement, Superbill):
        first, second, *_ = books.of(model, client_id=client_id)
        first["shared_at"], second["shared_at"] = MOMENT, None


def cross(books: Books) -> None:
    """Make lines that refer to another client's session, as no practice should enter them."""
    clients = [row["id"] for row in books.rows[Client]]
    for client_id, other in zip(clients, [*clients[1:], clients[0]], strict=True):
        (session,) = books.of(Session, client_id=other, fee_minor=120)
        document = books.of(Superbill, client_id=client_id)[-1]
        (line, *_) = books.of(SuperbillLine, superbill_id=document["id"])
        line["session_id"] = session["id"]
        charged = [
            books.of(InvoiceLine, invoice_id=row["id"], session_id=None, is_void=False)
            for row in books.of(Invoice, client_id=client_id)
            if row["shared_at"] is not None
        ]
        next(lines[0] for lines in charged if lines)["session_id"] = session["id"]


def name_anew(client: Entered) -> None:
    client["folded_name"] = fold_name(client["name"])


# -- the twin --------------------------------------------------------------------------------------

LATER = dt.timedelta(days=400)
TWINS_ACCOUNT = "acct_sandbox_twin"
# Columns of text for readers, which may differ in the twin.
WORDS = frozenset("name client_name description number notes cardholder_name".split())


def twin_of(books: Books) -> Books:
    """Return the same ids in another practice: amounts tripled, days later, texts with
    a word more.
    """
    twin = Books(random.Random("twin"))
    for model, rows in books.rows.items():
        types = {column.name: column.type for column in model.__table__.c}
        for row in rows:
            if model is ClientNamePart:
                continue
            made = {name: changed(name, types[name], value) for name, value in row.items()}
            twin.rows[model].append(made | {"practice_id": twin.practice_id})
    for row in twin.rows.pop(Practice):
        row = {name: value for name, value in row.items() if name != "practice_id"}
        row |= {"id": twin.practice_id, "currency": "GBP", "stripe_account": TWINS_ACCOUNT}
        twin.rows[Practice].append(row)
    for client in twin.rows[Client]:
        name_anew(client)
        for part in name_parts(client):
            twin.enter(ClientNamePart, **part)
    return twin


def changed(name: str, type_: TypeEngine[Any], value: Any) -> Any:
    if value is None:
        return None
    if name == "stripe_account":
        return TWINS_ACCOUNT
    if isinstance(type_, Date | Instant):
        return value + LATER
    if name.endswith("_minor"):
        return value * 3
    is_text = isinstance(type_, Text)
    return f"{value} twin" if is_text and name in WORDS else value


# -- rights and tokens -----------------------------------------------------------------------------


@dataclass
class Guests:
    """Writer of rights and tokens of one practice."""

    households: Households
    practice: str
    books: Books

    def invite(self, rights: Rights) -> None:
        clients = {
            sort: row["id"] for sort, row in zip(CLIENTS, self.books.rows[Client], strict=True)
        }
        contacts = dict(zip(RIGHTS, self.books.rows[Contact], strict=True))
        for sort, client_id in [*clients.items()][:2]:
            self.bear(sort, ViewerKind.CLIENT, PERSONAL_SCOPES, client_id)
        for sort, of_clients in rights.items():
            contact_id = contacts[sort]["id"]
            for name, (sees, pays, until) in of_clients.items():
                self.books.enter(
                    ContactRight,
                    contact_id=contact_id,
                    client_id=clients[name],
                    relation=Relation.GUARDIAN,
                    sees_documents=sees,
                    can_pay=pays,
                    until=until,
                )
            self.bear(sort, ViewerKind.CONTACT, PERSONAL_SCOPES, contact_id)
        for sort, scopes in PROGRAMS.items():
            writes = Scope.BILLING_WRITE in scopes
            kind = ViewerKind.INTEGRATION if writes else ViewerKind.DASHBOARD
            self.bear(sort, kind, scopes, None)

    def bear(
        self, sort: str, kind: ViewerKind, scopes: tuple[Scope, ...], subject_id: str | None
    ) -> None:
        if self.practice == OTHER and sort not in STALE_SORTS:
            return
        for state in ("live", "expired", "revoked") if sort in STALE_SORTS else ("live",):
            secret, token_id = new_secret(), str(uuid.uuid4())
            of = (sort, self.practice, self.books.practice_id, kind, subject_id, scopes, token_id)
            self.households.bearers.append(Bearer(*of, secret=secret, state=state))
            self.books.enter(
                Token,
                id=token_id,
                kind=kind,
                client_id=subject_id if kind is ViewerKind.CLIENT else None,
                contact_id=subject_id if kind is ViewerKind.CONTACT else None,
                name=sort,
                hash=hashed(secret, KEY),
                scopes=[scope.value for scope in scopes],
                is_sign_in=False,
                created_at=MOMENT,
                expires_at=NOW + dt.timedelta(days=-1 if state == "expired" else 90),
                revoked_at=MOMENT if state == "revoked" else None,
            )
