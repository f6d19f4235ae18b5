"""Arguments of mutations that are ids, and the expected outcome of an id for a viewer."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from models import Scope, ViewerKind
from tests.security.isolation.entrances import Inside, address
from tests.security.isolation.households import Bearer
from tests.security.isolation.sight import PREFIXES, Eyes, Thing

NOWHERE_SETUP = "seti_" + "0" * 24
# An amount that no bill has: a reached bill is reported as changed, and nothing is charged.
WRONG = "77777.77"
# A viewer without the scope learns of no id whether it exists.
OUT_OF_SCOPE = "SCOPE_REQUIRED"
# Ids of a person's own sign-ins and identities, which need no scope.
OWN = ("sgn", "idn")


class Payer(Eyes):
    """A viewer's visible rows, and what the viewer may do with them."""

    def acts(self, name: str, thing: Thing) -> bool:
        """Return whether the viewer may pay for a row's client, and holds a card or a payment."""
        is_own = name not in ("PaymentMethod", "Payment") or self.holds(thing)
        return is_own and self.pays(owner(name, thing))

    @property
    def contact_id(self) -> str | None:
        """Return the id of a viewer who is a contact."""
        return self.bearer.subject_id if self.bearer.kind is ViewerKind.CONTACT else None

    def thing(self, name: str, id_: str) -> Thing | None:
        return next(iter(self.those(name, "id", id_[4:])), None)

    def stands(self, name: str, id_: str) -> str:
        """Return the expected outcome of an id."""
        thing = self.thing(name, id_)
        if thing is None:
            return "hidden"
        return "reached" if self.acts(name, thing) else "NotAllowed"

    def one(self, name: str) -> str:
        """Return the id of a row that may be paid with or for; else a visible one, or a
        stranger's.
        """
        if name not in self.told:
            self.told[name] = self.best(name)
        return str(self.told[name])

    def best(self, name: str) -> str:
        seen = self.seen[name]
        payable = [one for one in seen if self.acts(name, one)]
        others = [one for one in payable if not one.get("is_default")]
        everybodys = self.facts.things[name]
        return f"{PREFIXES[name]}_{[*others, *payable, *seen, *everybodys][0]['id']}"


def owner(name: str, thing: Thing) -> str:
    return str(thing["id"] if name == "Client" else thing["client_id"])


# -- arguments that are ids ------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """An argument of a mutation with an id of one kind.

    `judge` classifies an id as "hidden", "NotAllowed" or "reached". `path` is the path in the
    refusal of a hidden id, `outcomes` the types for a reached one. `scope` is the scope without
    which the mutation is refused. `writes` says that a reached id would change append-only rows, so
    that it is not tried.
    """

    field: str
    kind: str
    path: str
    outcomes: frozenset[str]
    input: Callable[[Inside, Payer, str], Mapping[str, Any]]
    judge: Callable[[Inside, Payer, str], tuple[str, str]]
    scope: Scope | None = Scope.BILLING_READ
    writes: Callable[[Payer, str], bool] = lambda _, __: False

    def query(self, bearer: Bearer) -> str:
        type_ = f"{self.field[0].upper()}{self.field[1:]}Input"
        payment = "payment { id }"
        more = f"... on PaymentOutcome {{ {payment} }} ... on PaymentInProgress {{ {payment} }}"
        is_paying = "ay" in self.field and self.scope is Scope.BILLING_READ
        told = more if is_paying and bearer.reads_bills else ""
        return (
            f"mutation M($i: {type_}!) {{ {self.field}(input: $i) {{ __typename {told}"
            " ... on UserError { code message path } } }"
        )


def change(
    field: str,
    kind: str,
    path: str,
    outcomes: str,
    input_: Callable[[Inside, Payer, str], Mapping[str, Any]] | None = None,
    judge: Callable[[Inside, Payer, str], tuple[str, str]] | None = None,
) -> Change:
    name = {prefix: name for name, prefix in PREFIXES.items()}.get(kind, "")

    def alone(_: Inside, __: Payer, id_: str) -> Mapping[str, Any]:
        return {path: id_}

    def by_itself(_: Inside, payer: Payer, id_: str) -> tuple[str, str]:
        return payer.stands(name, id_), path

    given = (input_ or alone, judge or by_itself)
    return Change(field, kind, path, frozenset(outcomes.split()), *given)


def pay(payer: Payer, source: Mapping[str, Any], **what: str) -> Mapping[str, Any]:
    money = {"amount": WRONG, "currency": payer.facts.practice["currency"]}
    key = f"key {uuid.uuid4()}"
    return {"expectedAmount": money, "source": source, "idempotencyKey": key, **what}


def with_setup(inside: Inside, payer: Payer, id_: str) -> Mapping[str, Any]:
    """Return a SetupIntent that the viewer has opened for the client, if there is one."""
    of = {whose: setup for setup, whose in inside.setups.items()}
    setup = of.get((payer.bearer.practice, id_[4:], payer.contact_id), NOWHERE_SETUP)
    return {"clientId": id_, "setupIntentId": setup}


def of_one(
    name: str, path: str, base_path: str, fits: Callable[[Inside, Payer, str, str], bool]
) -> Callable[[Inside, Payer, str], tuple[str, str]]:
    """Return a judge of an id that accompanies another row's id, which is checked first."""

    def judged(inside: Inside, payer: Payer, id_: str) -> tuple[str, str]:
        base = payer.one(name)
        stands = payer.stands(name, base)
        if stands != "reached":
            return stands, base_path
        return ("reached" if fits(inside, payer, base, id_) else "hidden"), path

    return judged


def chargeable(_: Inside, payer: Payer, base: str, id_: str) -> bool:
    """Return whether a card is for the client, or the viewer's own for another one."""
    card = payer.thing("PaymentMethod", id_)
    return card is not None and (f"cli_{card['client_id']}" == base or payer.holds(card))


def own_setup(inside: Inside, payer: Payer, base: str, id_: str) -> bool:
    return inside.setups.get(id_) == (payer.bearer.practice, base[4:], payer.contact_id)


def beside(_: Inside, payer: Payer, base: str, id_: str) -> bool:
    """Return whether the ids are two cards of the same holder for the same client."""
    cards = [payer.thing("PaymentMethod", one) for one in (base, id_)]
    owners = {(card["client_id"], card["contact_id"]) for card in cards if card}
    return None not in cards and cards[0] != cards[1] and len(owners) == 1


def own_sign_in(inside: Inside, payer: Payer, id_: str) -> tuple[str, str]:
    here = payer.bearer
    mine = [
        one
        for one in inside.households.bearers
        if (one.practice, address(one.sort)) == (here.practice, address(here.sort))
        and one.state == "live"
        and not (one.is_program or here.is_program)
    ]
    return ("reached" if id_[4:] in [one.token_id for one in mine] else "hidden"), "id"


def own_identity(inside: Inside, payer: Payer, id_: str) -> tuple[str, str]:
    """Judge an identity: a person of the practice with the viewer's own address."""
    here = payer.bearer
    mine = [
        one.subject_id
        for one in inside.households.bearers
        if (one.practice, address(one.sort)) == (here.practice, address(here.sort))
        and not (one.is_program or here.is_program)
    ]
    return ("reached" if id_[4:] in mine else "hidden"), "id"


PAID = "AmountChanged NothingToPay PaymentInProgress AnotherPersonPays CardUnusable"
DRIVEN = "PaySucceeded PayCanceled PayProcessing CardDeclined"
CHANGES: dict[str, Change] = {
    "pay(input.clientId:)": change(
        *("pay", "cli", "clientId", PAID),
        lambda _, payer, id_: pay(payer, {"credit": True}, clientId=id_),
    ),
    "pay(input.invoiceId:)": change(
        *("pay", "inv", "invoiceId", PAID),
        lambda _, payer, id_: pay(payer, {"credit": True}, invoiceId=id_),
    ),
    "pay(input.invoiceId:), of a client": change(
        *("pay", "inv", "invoiceId", PAID),
        lambda _, payer, id_: pay(
            payer, {"credit": True}, clientId=payer.one("Client"), invoiceId=id_
        ),
        lambda _, payer, id_: of_both(payer, id_),
    ),
    "pay(input.source.paymentMethodId:)": change(
        *("pay", "crd", "source.paymentMethodId", PAID),
        lambda _, payer, id_: pay(payer, {"paymentMethodId": id_}, clientId=payer.one("Client")),
        of_one(*("Client", "source.paymentMethodId", "clientId"), chargeable),
    ),
    "refreshPayment(input.paymentId:)": change("refreshPayment", "pmt", "paymentId", DRIVEN),
    "cancelPayment(input.paymentId:)": change("cancelPayment", "pmt", "paymentId", DRIVEN),
    "prepareCard(input.clientId:)": change("prepareCard", "cli", "clientId", "CardPrepared"),
    # The form was not confirmed.
    "addCard(input.clientId:)": change("addCard", "cli", "clientId", "InvalidInput", with_setup),
    "addCard(input.setupIntentId:)": change(
        *("addCard", "seti", "setupIntentId", "InvalidInput"),
        lambda _, payer, id_: {"clientId": payer.one("Client"), "setupIntentId": id_},
        of_one("Client", "setupIntentId", "clientId", own_setup),
    ),
    "makeDefault(input.paymentMethodId:)": change(
        "makeDefault", "crd", "paymentMethodId", "DefaultMade CardUnusable"
    ),
    "shareCard(input.paymentMethodId:)": change(
        "shareCard", "crd", "paymentMethodId", "CardShared"
    ),
    "unshareCard(input.paymentMethodId:)": change(
        "unshareCard", "crd", "paymentMethodId", "CardUnshared"
    ),
    "removeCard(input.paymentMethodId:)": change(
        "removeCard", "crd", "paymentMethodId", "CardRemoved ReplacementNeeded"
    ),
    "removeCard(input.replacementId:)": change(
        *("removeCard", "crd", "replacementId", "CardRemoved ReplacementNeeded"),
        lambda _, payer, id_: {
            "paymentMethodId": payer.one("PaymentMethod"),
            "replacementId": id_,
        },
        of_one("PaymentMethod", "replacementId", "paymentMethodId", beside),
    ),
    "revokeSignIn(input.id:)": change(
        *("revokeSignIn", "sgn", "id", "SignInRevoked"), None, own_sign_in
    ),
    "switchViewer(input.id:)": change(
        *("switchViewer", "idn", "id", "ViewerSwitched"), None, own_identity
    ),
}


def of_both(payer: Payer, id_: str) -> tuple[str, str]:
    """Judge an invoice that accompanies a client: hidden unless it is this client's."""
    base, invoice = payer.one("Client"), payer.thing("Invoice", id_)
    if invoice is None or f"cli_{invoice['client_id']}" != base:
        return "hidden", "invoiceId"
    return payer.stands("Client", base), "invoiceId"
