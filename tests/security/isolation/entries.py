"""Arguments of entries that are ids, and the expected outcome of an id for a viewer.

A program that may write reaches each row of its practice. The other values are chosen so that an
entry is refused in the end, since entries can not be undone.
"""

from collections.abc import Callable, Mapping
from typing import Any

from models import Scope
from tests.security.isolation.entrances import Inside
from tests.security.isolation.ids import NO_OTHER, NOWHERE
from tests.security.isolation.mutations import Change, Payer
from tests.security.isolation.sight import ACTIVE, PREFIXES, Thing

Given = Mapping[str, Any]
# More than any client is billed or has paid.
MUCH = "9999999.00"
LATER = "2199-01-01"
PERIOD = {"periodStart": "2199-01-01", "periodEnd": "2199-01-31"}


def reference(id_: str) -> Given:
    return {"id": id_}


def record(payer: Payer, **more: Any) -> dict[str, Any]:
    """Return a record of another system for a client of the viewer's practice."""
    own = {"externalId": {"source": "probe", "id": "1"}, "client": reference(client_of(payer))}
    return own | more


def client_of(payer: Payer) -> str:
    """Return a client of the practice without a payment under way, which would be refused first."""
    paying = {one["client_id"] for one in payer.facts.things["Payment"] if one["state"] in ACTIVE}
    return next(
        f"cli_{one['id']}" for one in payer.facts.things["Client"] if one["id"] not in paying
    )


def money(payer: Payer, amount: str = MUCH) -> Given:
    return {"amount": amount, "currency": payer.facts.practice["currency"]}


def line(payer: Payer, session: str | None = None) -> Given:
    if session is not None:
        return {"session": reference(session)}
    return {"description": "Letter", "unitPrice": money(payer, "1.00")}


def session(payer: Payer, **more: Any) -> Given:
    own = {"date": "2026-01-05", "description": "Visit", "fee": money(payer, "1.00")}
    return record(payer, **own | more)


def of_invoice(payer: Payer, id_: str, **more: Any) -> Given:
    return {"externalId": {"source": "probe", "id": "1"}, "invoice": reference(id_), **more}


def taken_number(payer: Payer) -> str:
    return str(payer.facts.things["Invoice"][0]["number"])


def of_client(payer: Payer, thing: Thing) -> bool:
    return f"cli_{thing['client_id']}" == client_of(payer)


def entry(
    place: str,
    name: str,
    input_: Callable[[Payer, str], Given],
    reached: str,
    fits: Callable[[Payer, Thing], bool] = lambda _, __: True,
    writes: Callable[[Payer, Thing], bool] = lambda _, __: False,
) -> tuple[str, Change]:
    """Return the change of an argument, as `field(input.path.id:)`."""
    field, _, path = place.removesuffix(".id:)").partition("(input.")

    def judge(_: Inside, payer: Payer, id_: str) -> tuple[str, str]:
        thing = payer.thing(name, id_)
        is_here = thing is not None and fits(payer, thing)
        return ("reached" if is_here else "hidden"), path

    def would_write(payer: Payer, id_: str) -> bool:
        thing = payer.thing(name, id_)
        return thing is not None and writes(payer, thing)

    change = Change(
        *(field, PREFIXES[name], path, frozenset(reached.split("; "))),
        *(lambda _, payer, id_: input_(payer, id_), judge),
        scope=Scope.BILLING_WRITE,
        writes=would_write,
    )
    return place, change


def is_valid(_: Payer, invoice: Thing) -> bool:
    return not invoice["is_void"]


def is_unshared(_: Payer, document: Thing) -> bool:
    return document["shared_at"] is None


def always(_: Payer, __: Thing) -> bool:
    return True


ENTRIES: dict[str, Change] = dict(
    [
        entry(
            *("upsertClient(input.clinician.id:)", "Clinician"),
            lambda _, id_: {
                "externalId": {"source": "probe", "id": "1"},
                "name": "Zoë Brandnew",
                "clinician": reference(id_),
            },
            "ClientEntered",
            writes=always,
        ),
        entry(
            *("issueInvoice(input.client.id:)", "Client"),
            lambda payer, id_: record(
                payer, client=reference(id_), lines=[line(payer, f"ses_{NOWHERE}")]
            ),
            "NotFound at input.lines.session",
        ),
        entry(
            *("issueInvoice(input.clinician.id:)", "Clinician"),
            lambda payer, id_: record(
                payer, clinician=reference(id_), lines=[line(payer, f"ses_{NOWHERE}")]
            ),
            "NotFound at input.lines.session",
        ),
        entry(
            *("issueInvoice(input.lines.session.id:)", "Session"),
            lambda payer, id_: record(payer, lines=[line(payer, id_)], number=taken_number(payer)),
            "AlreadyInvoiced; NumberTaken",
            of_client,
        ),
        entry(
            *("voidInvoice(input.invoice.id:)", "Invoice"),
            lambda _, id_: {"invoice": reference(id_)},
            "InvoiceEntered; PaymentInProgress",
            writes=is_valid,
        ),
        entry(
            *("recordPayment(input.client.id:)", "Client"),
            lambda payer, id_: record(
                *(payer,),
                client=reference(id_),
                amount=money(payer),
                method="CASH",
                paidOn=LATER,
            ),
            "InvalidInput; PaymentInProgress",
        ),
        entry(
            *("recordPayment(input.invoice.id:)", "Invoice"),
            lambda payer, id_: record(
                *(payer,), amount=money(payer), method="CASH", invoice=reference(id_)
            ),
            "InvoiceIsVoid",
            of_client,
            is_valid,
        ),
        entry(
            *("recordPayment(input.portions.invoice.id:)", "Invoice"),
            lambda payer, id_: record(
                *(payer,),
                amount=money(payer),
                method="CASH",
                portions=[{"invoice": reference(id_), "amount": money(payer)}],
            ),
            "InvoiceIsVoid; ExceedsAmountDue",
            of_client,
        ),
        entry(
            *("giveCredit(input.client.id:)", "Client"),
            lambda payer, id_: record(
                *(payer,),
                client=reference(id_),
                amount=money(payer, f"-{MUCH}"),
                description="Back",
            ),
            "ExceedsFunds; PaymentInProgress",
        ),
        entry(
            *("archiveClient(input.client.id:)", "Client"),
            lambda _, id_: {"client": reference(id_), "archivedOn": LATER},
            "InvalidInput",
        ),
        entry(
            *("restoreClient(input.client.id:)", "Client"),
            lambda _, id_: {"client": reference(id_)},
            "ClientEntered",
            writes=lambda _, client: client["archived_on"] is not None,
        ),
        entry(
            *("mergeClients(input.client.id:)", "Client"),
            lambda _, id_: {"client": reference(id_), "into": reference(f"cli_{NO_OTHER}")},
            "NotFound at input.into",
        ),
        entry(
            *("mergeClients(input.into.id:)", "Client"),
            lambda payer, id_: {"client": reference(client_of(payer)), "into": reference(id_)},
            "InvalidInput",
            writes=lambda payer, client: f"cli_{client['id']}" != client_of(payer),
        ),
        entry(
            *("linkContact(input.client.id:)", "Client"),
            # A contact without a right is refused once the client is found.
            lambda _, id_: {
                "externalId": {"source": "probe", "id": "1"},
                "client": reference(id_),
                "name": "Gail Ahn",
                "relation": "PARENT",
                "seesDocuments": False,
                "canPay": False,
            },
            "InvalidInput",
        ),
        entry(
            *("unlinkContact(input.client.id:)", "Client"),
            lambda _, id_: {
                "client": reference(id_),
                "contact": {"source": "probe", "id": "nobody"},
            },
            "NotFound at input.contact",
        ),
        entry(
            *("recordSession(input.client.id:)", "Client"),
            lambda payer, id_: session(payer, client=reference(id_), date=LATER),
            "InvalidInput",
        ),
        entry(
            *("recordSession(input.clinician.id:)", "Clinician"),
            lambda payer, id_: session(payer, clinician=reference(id_)),
            "SessionEntered",
            writes=always,
        ),
        entry(
            *("writeOff(input.invoice.id:)", "Invoice"),
            lambda payer, id_: of_invoice(payer, id_, amount=money(payer)),
            "ExceedsAmountDue; InvoiceIsVoid; PaymentInProgress",
        ),
        entry(
            *("adjustInvoice(input.invoice.id:)", "Invoice"),
            lambda payer, id_: of_invoice(
                payer, id_, amount=money(payer, f"-{MUCH}"), description="Less"
            ),
            "ExceedsAmountDue; InvoiceIsVoid; PaymentInProgress",
        ),
        entry(
            *("allocateCredit(input.invoice.id:)", "Invoice"),
            lambda payer, id_: of_invoice(payer, id_, amount=money(payer)),
            "ExceedsFunds; PaymentInProgress",
        ),
        entry(
            *("recordRefund(input.payment.id:)", "Payment"),
            lambda payer, id_: {
                "externalId": {"source": "probe", "id": "1"},
                "payment": reference(id_),
                "amount": money(payer),
            },
            "ExceedsPayment; PaidByCard; PaymentInProgress",
        ),
        entry(
            *("issueStatement(input.client.id:)", "Client"),
            lambda payer, id_: record(payer, client=reference(id_), **PERIOD),
            "InvalidInput",
        ),
        entry(
            *("issueSuperbill(input.client.id:)", "Client"),
            lambda payer, id_: record(
                payer, client=reference(id_), clinician=reference(f"cln_{NOWHERE}"), **PERIOD
            ),
            "NotFound at input.clinician",
        ),
        entry(
            *("issueSuperbill(input.clinician.id:)", "Clinician"),
            lambda payer, id_: record(payer, clinician=reference(id_), **PERIOD),
            # No session took place in that period.
            "NotFound at input.periodStart",
        ),
        *(
            entry(
                *(f"shareDocument(input.{name.lower()}.id:)", name),
                lambda _, id_, name=name: {name.lower(): reference(id_)},  # type: ignore[misc]
                f"{name}Entered",
                writes=is_unshared,
            )
            for name in ("Invoice", "Statement", "Superbill")
        ),
    ]
)
