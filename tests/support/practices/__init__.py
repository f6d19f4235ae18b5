"""Small random practices from a seed, with all cases that are hard to get right.

Ties and missing dates, strings that have to be escaped, amounts around every boundary, unshared
documents, void and negative invoices, payments in every state, rights of every kind.
"""

import datetime as dt
import hashlib
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from demo.many import NEVER
from models import (
    READ_SCOPES,
    AccessAction,
    AccessEntry,
    Client,
    ClientNamePart,
    Clinician,
    Contact,
    ContactRight,
    Invoice,
    Letterhead,
    Payment,
    PaymentMethod,
    PaymentState,
    Practice,
    PracticeVersion,
    Relation,
    Row,
    Scope,
    Token,
    ViewerKind,
)
from models.names import fold_name, name_parts
from tests.support.practices.bookkeeping import Books, Entered
from tests.support.practices.histories import Lives
from tests.support.practices.random_values import MOMENT, NAMES, NOW, TODAY, Draws

CURRENCIES = ("USD", "JPY", "KWD")
EVERYTHING = tuple(sorted(READ_SCOPES))
ADDRESS, FORMER = "Someone@example.org", "address.of.before@example.org"
PERSONAL = (Scope.BILLING_READ, Scope.DOCUMENTS_READ, Scope.PHI_READ)


@dataclass
class Practices:
    """All rows, and the ids of tokens by the name of their viewer."""

    rows: dict[type[Row], list[Entered]] = field(default_factory=lambda: defaultdict(list))
    tokens: dict[str, str] = field(default_factory=dict)


def made(seed: int = 1) -> Practices:
    practices = Practices()
    for currency in CURRENCIES:
        founded = Founding(random.Random(f"{seed} {currency}"), currency)
        for model, entered in founded.books.rows.items():
            practices.rows[model] += entered
        for who, token in founded.tokens.items():
            practices.tokens[f"{currency} {who}"] = token
    return practices


class Founding(Draws):
    """One practice, its clients with their history, and its tokens."""

    def __init__(self, chance: random.Random, currency: str) -> None:
        super().__init__(chance)
        self.tokens: dict[str, str] = {}
        self.books = Books(chance)
        self.practice(currency)
        lives = Lives(self.books, self.clinicians, self.letterheads)
        kinds = [lives.everything, lives.everything, lives.one_of_each, lives.sessions_only]
        kinds += [lives.credit_only, lives.small_sum, lives.nothing]
        self.clients = [self.client() for _ in kinds]
        for live, client in zip(kinds, self.clients, strict=True):
            live(client["id"])
        self.payments_under_way()
        self.contacts()
        self.holders(random.Random(f"holders {currency}"))
        self.tokens_of_clients_and_dashboards()
        self.versions(currency)
        self.looks()

    def practice(self, currency: str) -> None:
        id_ = self.books.practice_id
        self.books.enter(
            Practice,
            id=id_,
            name=f"{currency} {self.text()}",
            time_zone="America/New_York",
            currency=currency,
            locale="en-US",
            stripe_account=None if currency == "KWD" else f"acct_sandbox_{currency}",
            clients_remove_cards=currency == "JPY",
            # Stripe has no objects of these practices: a comparison would remove their cards.
            compare_after=NEVER,
            email=self.maybe("desk@example.org"),
            **self.address(),
        )
        self.clinicians: list[Any] = [None]
        for _ in range({"USD": 2, "JPY": 1, "KWD": 0}[currency]):
            row = self.books.enter(Clinician, name=self.text(), credentials=self.maybe("PhD"))
            self.clinicians.append(row["id"])
        self.letterheads = [
            self.books.enter(
                Letterhead,
                name=self.text(),
                npi=self.maybe("1234567893"),
                tax_id_last4=self.maybe("0042"),
                **self.address(),
            )["id"]
            for _ in range(2)
        ]
        self.letterheads.append(self.whole_letterhead())

    def whole_letterhead(self) -> Any:
        """Return a letterhead with all facts that an insurer needs."""
        address = {"line1": "1 Main St", "city": "Albany", "postal_code": "1", "country": "US"}
        return self.books.enter(
            Letterhead,
            name=self.text(),
            credentials="LCSW",
            npi="1234567893",
            licence_number="7",
            tax_id_encrypted=b"sealed",
            tax_id_last4="0042",
            **{f"address_{name}": value for name, value in address.items()},
        )["id"]

    def client(self) -> Entered:
        name, email = self.chance.choice(NAMES), self.maybe(ADDRESS)
        client = self.books.enter(
            Client,
            name=name,
            folded_name=fold_name(name),
            # The first client has signed in.
            email=email if self.books.rows[Client] else ADDRESS,
            phone=self.maybe("+1 555 0100"),
            date_of_birth=self.maybe(dt.date(1987, 2, 28)),
            archived_on=self.maybe(dt.date(2026, 2, 27)),
            clinician_id=self.chance.choice(self.clinicians),
            # Some clients were created at the same moment.
            created_at=MOMENT - dt.timedelta(microseconds=len(self.books.rows[Client]) // 2 % 3),
            **self.address(),
        )
        for part in name_parts(client):
            self.books.enter(ClientNamePart, **part)
        return client

    def payments_under_way(self) -> None:
        """Insert a payment in each state that is not at rest; the third client has one already."""
        states = (PaymentState.CREATED, PaymentState.CONFIRMING, PaymentState.REQUIRES_ACTION)
        for state, number in zip(states, (1, 3, 4), strict=True):
            self.books.attempt(self.clients[number]["id"], 75, TODAY, state)

    def versions(self, currency: str) -> None:
        """Insert versions of changes since the rows were entered; one practice has none."""
        changed = currency != "JPY"
        if changed:
            self.books.enter(PracticeVersion, version=9)
        for model in (Invoice, Payment):
            for number, row in enumerate(self.books.rows[model]):
                row["version"] = (None, 3, 7, 9)[number % 4] if changed else None

    def looks(self) -> None:
        """Insert audit entries of reads of each client, and of some changes."""
        tokens = self.books.rows[Token]
        for number, token in enumerate(tokens * 2):
            self.books.enter(
                AccessEntry,
                client_id=self.clients[number % len(self.clients)]["id"],
                token_id=token["id"],
                kind=token["kind"],
                name=self.text(),
                operation=self.maybe("Overview"),
                fields=["Client.balance", "Client.name"][: number % 3],
                action=list(AccessAction)[number % 5],
                at=MOMENT,
            )

    def contacts(self) -> None:
        sees, pays, both = (True, False), (False, True), (True, True)
        last, over = TODAY, TODAY - dt.timedelta(days=1)
        self.contact(
            "contact of several",
            {0: (*sees, last), 1: (*pays, None), 2: (*both, None), 3: (*sees, None)}
            | {4: (*both, over)},
        )
        # A right that has ended does not count: the contact has exactly one client.
        self.contact("contact who sees one", {0: (*sees, None), 1: (*both, over)})
        self.contact("contact who pays for one", {0: (*pays, last)})
        self.contact("contact of nobody", {})

    def holders(self, chance: random.Random) -> None:
        """Insert cards of each contact for each client, whatever the rights, and make contacts the
        payers of some payments, with whichever card.
        """
        for number, right in enumerate(self.books.rows[ContactRight]):
            for is_shared in (False, True):
                self.books.card(
                    right["client_id"],
                    MOMENT - dt.timedelta(days=number % 3),
                    (2030, 1 + number % 12),
                    contact_id=right["contact_id"],
                    is_shared=is_shared,
                    is_default=is_shared is (number % 2 == 0),
                    cardholder_name=f"Contact {number}",
                    billing_zip=f"{number:05}",
                )
        cards = self.books.rows[PaymentMethod]
        for card in cards:
            if card["contact_id"] is None and card["removed_at"] is None:
                card["is_shared"] = chance.random() < 0.4
        for payment in self.books.rows[Payment]:
            of_client = self.books.of(ContactRight, client_id=payment["client_id"])
            if of_client and chance.random() < 0.6:
                self.books.hand_over(payment, chance.choice(of_client)["contact_id"])
            own = [card for card in cards if card["client_id"] == payment["client_id"]]
            if own and payment["card_last4"] and chance.random() < 0.6:
                payment["payment_method_id"] = chance.choice(own)["id"]

    def contact(self, who: str, rights: dict[int, tuple[bool, bool, dt.date | None]]) -> None:
        contact = self.books.enter(Contact, name=self.text(), email=self.maybe("p@example.org"))
        for number, (sees, pays, until) in rights.items():
            self.books.enter(
                ContactRight,
                contact_id=contact["id"],
                client_id=self.clients[number]["id"],
                relation=self.chance.choice(list(Relation)),
                sees_documents=sees,
                can_pay=pays,
                until=until,
            )
        self.token(who, ViewerKind.CONTACT, PERSONAL, contact_id=contact["id"])
        self.sign_ins(ViewerKind.CONTACT, contact["email"], contact_id=contact["id"])

    def tokens_of_clients_and_dashboards(self) -> None:
        for number, client in enumerate(self.clients):
            who = f"client {number}"
            self.token(who, ViewerKind.CLIENT, PERSONAL, client_id=client["id"])
            self.sign_ins(ViewerKind.CLIENT, client["email"], client_id=client["id"])
        first = self.clients[0]
        signed_in = {
            "client_id": first["id"],
            "last_used_at": NOW,
            "is_sign_in": True,
            "email": ADDRESS.lower(),
        }
        self.token("client who signed in", ViewerKind.CLIENT, PERSONAL, **signed_in)
        self.token("dashboard", ViewerKind.DASHBOARD, EVERYTHING)
        without = tuple(scope for scope in EVERYTHING if scope is not Scope.PHI_READ)
        self.token("dashboard without phi", ViewerKind.DASHBOARD, without)
        bills = (Scope.BILLING_READ, Scope.PHI_READ)
        self.token("dashboard without documents", ViewerKind.DASHBOARD, bills)
        self.token("dashboard of sums", ViewerKind.DASHBOARD, (Scope.AGGREGATES_READ,))
        self.token("integration", ViewerKind.INTEGRATION, tuple(Scope))

    def sign_ins(self, kind: ViewerKind, email: str | None, **subject: str) -> None:
        """Insert sign-ins that work, some of the same moment, and some that ended in each way."""
        minute = dt.timedelta(minutes=1)
        states: list[dict[str, Any]] = [
            {"last_used_at": NOW},
            {"last_used_at": NOW - 14 * minute},
            {"last_used_at": NOW - 15 * minute},
            {"last_used_at": NOW, "revoked_at": NOW},
            {"last_used_at": NOW, "expires_at": NOW},
        ]
        for number, state in enumerate(states):
            who = f"{subject} {number}"
            # Some contacts have changed their address since.
            is_old = kind is ViewerKind.CONTACT and number == 1
            usual = {"email": FORMER if is_old else email and email.lower(), "is_sign_in": True}
            self.enter_token(who, kind, PERSONAL, {**subject, **usual, **state})

    def token(self, who: str, kind: ViewerKind, scopes: tuple[Scope, ...], **facts: Any) -> None:
        self.tokens[who] = self.enter_token(who, kind, scopes, facts)["id"]

    def enter_token(
        self, who: str, kind: ViewerKind, scopes: tuple[Scope, ...], facts: dict[str, Any]
    ) -> Entered:
        usual = {
            "is_sign_in": False,
            "name": self.text(),
            "hash": hashlib.sha256(f"{self.books.practice_id} {who}".encode()).hexdigest(),
            "scopes": [scope.value for scope in scopes],
            "created_at": MOMENT,
            "expires_at": MOMENT + dt.timedelta(days=365),
        }
        return self.books.enter(Token, kind=kind, **usual | facts)
