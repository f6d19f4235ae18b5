"""The rules of visibility in plain Python, over rows as they were inserted, without SQL."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import models
from models import EntryKind, PaymentState, ViewerKind
from tests.security.isolation.households import Bearer
from tests.support.practices.random_values import TODAY

Thing = Mapping[str, Any]
Rows = Mapping[type[models.Row], list[dict[str, Any]]]

# Kinds of rows with an id, and the prefixes of their ids.
PREFIXES = {
    "Practice": "pra", "Clinician": "cln", "Client": "cli", "Session": "ses", "Invoice": "inv",
    "Statement": "stm", "Superbill": "sbl", "Payment": "pmt", "Receipt": "rct",
    "PaymentMethod": "crd", "AccountHistoryEntry": "aht",
}  # fmt: skip
ACTIVE = ("CREATED", "CONFIRMING", "REQUIRES_ACTION", "PROCESSING")


class Facts:
    """The rows of one practice, under the schema's names."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        (self.practice,) = rows[models.Practice]
        self.indexes: dict[tuple[str, str], dict[Any, list[Thing]]] = {}

    @cached_property
    def things(self) -> dict[str, list[Thing]]:
        same = "Clinician Client Session Invoice Statement Superbill Payment Receipt PaymentMethod"
        found: dict[str, list[Thing]] = {
            name: list(self.rows[getattr(models, name)])
            for name in (*same.split(), "InvoiceLine", "SuperbillLine")
        }
        found["Practice"] = [self.practice]
        found["PaymentAllocation"] = self.allocations()
        found["AccountHistoryEntry"] = self.history()
        found["PayableInvoice"] = self.payable_invoices()
        return found

    def where(self, model: type[models.Row], column: str, value: Any) -> list[Thing]:
        key = (model.__name__, column)
        if key not in self.indexes:
            self.indexes[key] = defaultdict(list)
            for row in self.rows[model]:
                self.indexes[key][row[column]].append(row)
        return self.indexes[key].get(value, [])

    @cached_property
    def puts(self) -> dict[str, set[str]]:
        """Return the payments ever allocated to each invoice."""
        found: dict[str, set[str]] = defaultdict(set)
        for row in self.rows[models.Allocation]:
            if row["payment_id"]:
                found[row["invoice_id"]].add(row["payment_id"])
        return found

    def allocations(self) -> list[Thing]:
        """Return the allocations of each payment to each invoice, unless all of it was
        taken back.
        """
        sums: dict[tuple[str, str], int] = defaultdict(int)
        for row in self.rows[models.Allocation]:
            if row["payment_id"]:
                sums[row["payment_id"], row["invoice_id"]] += row["amount_minor"]
        return [
            {"payment_id": payment, "invoice_id": invoice, "amount_minor": amount}
            for (payment, invoice), amount in sums.items()
            if amount
        ]

    def history(self) -> list[Thing]:
        """Return the ledger, sessions that are on no valid invoice, and payments that moved nothing
        yet.
        """
        nothing = {"session_id": None, "invoice_id": None, "payment_id": None, "posted_on": None}
        entries: list[Thing] = [
            {**row, "date": row["posted_on"]} for row in self.rows[models.LedgerEntry]
        ]
        entries += [
            {**nothing, **row, "session_id": row["id"], "amount_minor": row["fee_minor"]}
            for row in self.rows[models.Session]
            if not self.is_invoiced(row)
        ]
        entries += [
            {**row, **nothing, "payment_id": row["id"], "date": row["created_on"],
             "amount_minor": -row["amount_minor"]}
            for row in self.rows[models.Payment]
            if row["state"] in (*ACTIVE, PaymentState.FAILED)
        ]  # fmt: skip
        return entries

    def payable_invoices(self) -> list[Thing]:
        """Return the invoices with an amount due, without those that an open dispute made due."""
        return [
            {"invoice_id": row["id"], "client_id": row["client_id"], "due": due}
            for row in sorted(
                self.rows[models.Invoice], key=lambda row: (row["issued_on"], row["serial"])
            )
            if (due := self.due_of(row)) and not self.is_disputed(row)
        ]

    def due_of(self, invoice: Thing) -> int:
        billed = total(self.where(models.LedgerEntry, "invoice_id", invoice["id"]))
        return billed - self.paid(invoice)

    def is_disputed(self, invoice: Thing) -> bool:
        puts = self.where(models.Allocation, "invoice_id", invoice["id"])
        disputes = self.where(models.Dispute, "client_id", invoice["client_id"])
        return any(
            total([put for put in puts if put["dispute_id"] == dispute["id"]]) < 0
            for dispute in disputes
            if dispute["state"] == "OPEN"
        )

    def is_invoiced(self, session: Thing) -> bool:
        return self.invoice_of(session) is not None

    def invoice_of(self, session: Thing) -> str | None:
        lines = self.where(models.InvoiceLine, "session_id", session["id"])
        return next((line["invoice_id"] for line in lines if not line["is_void"]), None)

    # -- sums over all rows, independent of the viewer ---------------------------------------------

    def balance(self, client: Thing) -> int:
        return total(self.where(models.LedgerEntry, "client_id", client["id"]))

    def uninvoiced(self, client: Thing) -> int:
        sessions = self.where(models.Session, "client_id", client["id"])
        return sum(row["fee_minor"] for row in sessions if not self.is_invoiced(row))

    def paid(self, invoice: Thing) -> int:
        return total(self.where(models.Allocation, "invoice_id", invoice["id"]))

    def refunded(self, payment: Thing) -> int:
        entries = self.where(models.LedgerEntry, "payment_id", payment["id"])
        return total([row for row in entries if row["kind"] is EntryKind.REFUND])

    def of_therapist(self, therapist: str, model: type[models.Row]) -> list[tuple[Thing, Thing]]:
        """Return rows that refer to one of a clinician's invoices, each with the invoice."""
        invoices = self.where(models.Invoice, "clinician_id", therapist)
        return [
            (row, invoice)
            for invoice in invoices
            for row in self.where(model, "invoice_id", invoice["id"])
        ]

    def invoiced(self, therapist: str) -> int:
        rows = [row for row, _ in self.of_therapist(therapist, models.LedgerEntry)]
        return total([row for row in rows if row["kind"] in ("SESSION", "CHARGE")])

    def due(self, therapist: str, day: dt.date) -> int:
        """Return the amount due of invoices issued by a day, from the rows up to that day."""
        billed, paid = (
            total([row for row, _ in self.of_therapist(therapist, model) if row[column] <= day])
            for model, column in ((models.LedgerEntry, "posted_on"), (models.Allocation, "date"))
        )
        return billed - paid


def total(rows: list[Thing]) -> int:
    return sum(row["amount_minor"] for row in rows)


class Eyes:
    """The visible part of a practice for the holder of a token."""

    def __init__(self, facts: Facts, bearer: Bearer) -> None:
        self.facts, self.bearer = facts, bearer
        self.indexes: dict[tuple[str, str], dict[Any, list[Thing]]] = {}
        self.told: dict[Any, Any] = {}

    @cached_property
    def seen(self) -> dict[str, list[Thing]]:
        return {
            name: [thing for thing in things if RULES[name](self, thing)]
            for name, things in self.facts.things.items()
        }

    def those(self, name: str, column: str, value: Any) -> list[Thing]:
        """Return the visible rows of a kind with a value in a column."""
        key = (name, column)
        if key not in self.indexes:
            self.indexes[key] = defaultdict(list)
            for thing in self.seen[name]:
                self.indexes[key][thing[column]].append(thing)
        return self.indexes[key].get(value, [])

    def sees(self, name: str, id_: str) -> bool:
        return bool(self.those(name, "id", id_))

    # -- the rules ---------------------------------------------------------------------------------

    def right(self, client_id: str) -> Thing | None:
        """Return the contact's right to a client, until the end of its last day."""
        right = self.link(client_id)
        return None if right is None or (right["until"] or TODAY) < TODAY else right

    def link(self, client_id: str) -> Thing | None:
        """Return the contact's right to a client, even if it has ended."""
        rights = self.facts.where(models.ContactRight, "client_id", client_id)
        return next((row for row in rights if row["contact_id"] == self.bearer.subject_id), None)

    def knows(self, client_id: str) -> bool:
        """Return whether the client is visible: oneself, a contact's client by either right, all
        for dashboards.
        """
        match self.bearer.kind:
            case ViewerKind.CLIENT:
                return client_id == self.bearer.subject_id
            case ViewerKind.CONTACT:
                return self.right(client_id) is not None
            case ViewerKind.DASHBOARD | ViewerKind.INTEGRATION:
                return True

    def opens(self, client_id: str) -> bool:
        """Return whether the client's bills are visible: a contact needs the right to see
        documents.
        """
        if self.bearer.kind is not ViewerKind.CONTACT:
            return self.knows(client_id)
        right = self.right(client_id)
        return right is not None and bool(right["sees_documents"])

    def pays(self, client_id: str) -> bool:
        """Return whether the viewer may pay: clients for themselves, contacts with the right,
        programs never.
        """
        match self.bearer.kind:
            case ViewerKind.CLIENT:
                return self.knows(client_id)
            case ViewerKind.CONTACT:
                right = self.right(client_id)
                return right is not None and bool(right["can_pay"])
            case ViewerKind.DASHBOARD | ViewerKind.INTEGRATION:
                return False

    def holds(self, thing: Thing) -> bool:
        """Return whether a card or a payment is the viewer's own."""
        match self.bearer.kind:
            case ViewerKind.CLIENT:
                return thing["contact_id"] is None
            case ViewerKind.CONTACT:
                return bool(thing["contact_id"] == self.bearer.subject_id)
            case ViewerKind.DASHBOARD | ViewerKind.INTEGRATION:
                return False

    def may_use(self, card: Thing) -> bool:
        """Return whether a card is visible: it is on file, its holder may pay for the client, and
        it is the viewer's or shared with whom may pay. The practice sees all of these.
        """
        rights = self.facts.where(models.ContactRight, "client_id", card["client_id"])
        is_held = card["contact_id"] is None or any(
            right["can_pay"] and (right["until"] or TODAY) >= TODAY
            for right in rights
            if right["contact_id"] == card["contact_id"]
        )
        if card["removed_at"] is not None or not is_held:
            return False
        known = self.holds(card) or bool(card["is_shared"])
        return self.bearer.is_program or (self.pays(card["client_id"]) and known)

    def reads(self, document: Thing) -> bool:
        """Return whether a document is visible: an unshared one only to the practice."""
        shared = document["shared_at"] is not None or self.bearer.is_program
        return shared and self.opens(document["client_id"])


def known(eyes: Eyes, thing: Thing) -> bool:
    return eyes.knows(thing["client_id"])


def paid(eyes: Eyes, thing: Thing) -> bool:
    """Return whether a payment or a receipt is visible: one's own, and all with the right."""
    return opened(eyes, thing) or (known(eyes, thing) and eyes.holds(thing))


def opened(eyes: Eyes, thing: Thing) -> bool:
    return eyes.opens(thing["client_id"])


def everybody(_: Eyes, __: Thing) -> bool:
    return True


RULES: dict[str, Callable[[Eyes, Thing], bool]] = {
    "Practice": everybody,
    "Clinician": everybody,
    "Client": lambda eyes, client: eyes.knows(client["id"]),
    "PaymentMethod": Eyes.may_use,
    "Payment": paid,
    "Session": opened,
    "Receipt": paid,
    "AccountHistoryEntry": opened,
    "Invoice": Eyes.reads,
    "Statement": Eyes.reads,
    "Superbill": Eyes.reads,
    # Parts of a document, which are visible with it.
    "InvoiceLine": everybody,
    "SuperbillLine": everybody,
    # Shows only the amount allocated to an invoice.
    "PaymentAllocation": lambda eyes, put: eyes.sees("Invoice", put["invoice_id"]),
    # Shows only the amount due, since the client owes an unshared invoice too.
    "PayableInvoice": known,
}


def relation(eyes: Eyes, name: str, thing: Thing) -> str:
    """Return the owner's relation to the viewer, for a row of the viewer's practice."""
    if name in ("Practice", "Clinician"):
        return "practice"
    if name in ("Query", "Viewer"):
        return "everybody"
    owner = thing["id"] if name == "Client" else thing["client_id"]
    match eyes.bearer.kind:
        case ViewerKind.DASHBOARD | ViewerKind.INTEGRATION:
            return "client"
        case ViewerKind.CLIENT if owner == eyes.bearer.subject_id:
            return "self"
        case ViewerKind.CONTACT if right := eyes.right(owner):
            return f"ward {'sees' * right['sees_documents']}{'pays' * right['can_pay']}"
        case ViewerKind.CONTACT if eyes.link(owner):
            return "former ward"
    return "sibling" if owner in siblings(eyes) else "stranger"


def siblings(eyes: Eyes) -> set[str]:
    """Return the clients that share a contact with the viewer, or with a client of the viewer's."""
    rights = eyes.facts.rows[models.ContactRight]
    own = {row["client_id"] for row in rights if eyes.knows(row["client_id"])}
    contacts = {row["contact_id"] for row in rights if row["client_id"] in own}
    return {row["client_id"] for row in rights if row["contact_id"] in contacts} - own
