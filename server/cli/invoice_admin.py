"""Invoices on the command line: issued, voided, written off, adjusted and listed."""

from collections.abc import Mapping, Sequence
from typing import Any

from billing.audit_log import record
from billing.entry.client_ledger import ClientLedger, InvoiceRecord, read_client_ledger
from billing.entry.commands import client_entries
from billing.entry.invoices import (
    Adjustment,
    InvoiceVoid,
    NewInvoice,
    NewLine,
    WriteOff,
    adjust_invoice,
    issue_invoice,
    void_invoice,
    write_off_invoice,
)
from billing.entry.practice_facts import read_practice_facts
from models import AccessAction, Client, Invoice
from server.cli.amounts import decimal, hundredths, minor_units
from server.cli.entering import Key, entering_for, external_id
from server.cli.operators import operator
from server.cli.rows import find_row, row_id_of, writing
from server.clock import utc_now
from server.settings import Settings


async def issue(
    settings: Settings,
    client: str,
    facts: Mapping[str, Any],
    lines: Sequence[Mapping[str, Any]],
    *,
    uninvoiced: bool,
    external: Key,
) -> str:
    """Issue an invoice, and return its id."""
    command = "portal invoice issue"
    async with (
        entering_for(settings, command, Client, client) as (context, row),
        client_entries(context, row.practice_id, row.id) as entries,
    ):
        currency = entries.facts.currency
        wanted = NewInvoice(
            [
                *(new_line(line, currency) for line in lines),
                *open_sessions(entries.ledger, uninvoiced),
            ],
            due_on=facts.get("due_on"),
            issued_on=facts.get("issued_on"),
            clinician_id=facts.get("clinician") and row_id_of(facts["clinician"]),
            notes=facts.get("notes"),
            is_shared=facts.get("shared", True),
            number=facts.get("number"),
        )
        return f"inv_{await entries.enter(issue_invoice, wanted, external_id(external))}"


def new_line(line: Mapping[str, Any], currency: str) -> NewLine:
    price, session = line.get("unit_price"), line.get("session")
    return NewLine(
        line.get("description"),
        minor_units(price, currency) if price is not None else None,
        line.get("date"),
        line.get("service_code"),
        row_id_of(session) if session is not None else None,
        hundredths(line.get("quantity", "1")),
    )


def open_sessions(ledger: ClientLedger, uninvoiced: bool) -> list[NewLine]:
    """Return a line for each session without an invoice, if those are wanted."""
    sessions = [id_ for id_ in ledger.sessions if id_ not in ledger.invoiced_sessions]
    return [NewLine(session_id=id_) for id_ in sessions] if uninvoiced else []


async def void(settings: Settings, invoice: str) -> str:
    """Void an invoice, and return a sentence about it."""
    async with (
        entering_for(settings, "portal invoice void", Invoice, invoice) as (context, row),
        client_entries(context, row.practice_id, row.client_id) as entries,
    ):
        await entries.enter(void_invoice, InvoiceVoid(row.id))
    return f"Invoice {row.number} is void."


async def write_off(
    settings: Settings, invoice: str, amount: str | None, description: str | None, external: Key
) -> str:
    """Write an amount due off, all of it by default. Return the entry's id."""
    async with (
        entering_for(settings, "portal invoice write-off", Invoice, invoice) as (context, row),
        client_entries(context, row.practice_id, row.client_id) as entries,
    ):
        minor = None if amount is None else minor_units(amount, entries.facts.currency)
        wanted = WriteOff(row.id, minor, description)
        return f"aht_{await entries.enter(write_off_invoice, wanted, external_id(external))}"


async def adjust(
    settings: Settings, invoice: str, amount: str, description: str, external: Key
) -> str:
    """Add an amount to an invoice's billed amount. Return the entry's id."""
    async with (
        entering_for(settings, "portal invoice adjust", Invoice, invoice) as (context, row),
        client_entries(context, row.practice_id, row.client_id) as entries,
    ):
        minor = minor_units(amount, entries.facts.currency)
        wanted = Adjustment(row.id, minor, description)
        return f"aht_{await entries.enter(adjust_invoice, wanted, external_id(external))}"


# -- the list --------------------------------------------------------------------------------------


async def list_invoices(settings: Settings, client: str) -> list[dict[str, Any]]:
    """Return a client's invoices, the oldest first, as JSON has them."""
    async with writing(settings) as conn:
        row = await find_row(conn, Client, client)
        facts = await read_practice_facts(conn, row.practice_id)
        ledger = await read_client_ledger(conn, facts, row.id)
        by = operator(row.practice_id, "portal invoice list")
        await record(conn, by, row.id, utc_now(), AccessAction.READ)
    in_order = sorted(
        ledger.invoices.values(), key=lambda one: (one.values["issued_on"], one.values["serial"])
    )
    return [invoice_facts(invoice, facts.currency) for invoice in in_order]


def invoice_facts(invoice: InvoiceRecord, currency: str) -> dict[str, Any]:
    due_on = invoice.values["due_on"]
    return {
        "id": f"inv_{invoice.id}",
        "number": invoice.number,
        "issued_on": invoice.values["issued_on"].isoformat(),
        "due_on": due_on.isoformat() if due_on else None,
        "currency": currency,
        "total": decimal(invoice.values["total_minor"], currency),
        "amount_due": decimal(invoice.due, currency),
        "is_void": invoice.is_void,
        "is_shared": invoice.values["shared_at"] is not None,
    }


def invoice_line(invoice: Mapping[str, Any]) -> str:
    state = "void" if invoice["is_void"] else f"due {invoice['amount_due']}"
    by = f" by {invoice['due_on']}" if invoice["due_on"] and not invoice["is_void"] else ""
    issued = f"{invoice['id']}  {invoice['number']}  {invoice['issued_on']}"
    return f"{issued}  {invoice['total']} {invoice['currency']}  {state}{by}"
