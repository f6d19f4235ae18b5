"""Payments and refunds outside the portal, recorded on the command line."""

import datetime as dt

from billing.entry.client_ledger import ClientLedger
from billing.entry.commands import client_entries
from billing.entry.outside_payments import OutsidePayment, OutsideRefund
from billing.entry.outside_payments import record_payment as enter_payment
from billing.entry.outside_payments import record_refund as enter_refund
from models import Client, Payment, PaymentMethodKind
from server.cli.amounts import minor_units
from server.cli.entering import Key, NotEntered, entering_for, external_id
from server.cli.rows import row_id_of
from server.settings import Settings


async def record_payment(
    settings: Settings,
    client: str,
    amount: str,
    method: str,
    paid_on: dt.date | None,
    invoice: str | None,
    *,
    payer: str | None,
    reference: str | None,
    external: Key,
) -> str:
    """Record a payment, and return its id."""
    async with (
        entering_for(settings, "portal payment record", Client, client) as (context, row),
        client_entries(context, row.practice_id, row.id) as entries,
    ):
        wanted = OutsidePayment(
            PaymentMethodKind(method),
            minor_units(amount, entries.facts.currency),
            paid_on,
            None if invoice is None else invoice_id(entries.ledger, invoice),
            payer=payer,
            reference=reference,
        )
        return f"pmt_{await entries.enter(enter_payment, wanted, external_id(external))}"


async def record_refund(
    settings: Settings,
    payment: str,
    amount: str,
    refunded_on: dt.date | None,
    description: str,
    *,
    external: Key,
) -> str:
    """Record a refund, and return the entry's id."""
    async with (
        entering_for(settings, "portal payment refund", Payment, payment) as (context, row),
        client_entries(context, row.practice_id, row.client_id) as entries,
    ):
        minor = minor_units(amount, entries.facts.currency)
        wanted = OutsideRefund(row.id, minor, refunded_on, description)
        return f"aht_{await entries.enter(enter_refund, wanted, external_id(external))}"


def invoice_id(ledger: ClientLedger, invoice: str) -> str:
    """Return the id of a client's invoice, given by its id or number."""
    named = row_id_of(invoice)
    for one in ledger.invoices.values():
        if invoice == one.number or named == one.id:
            return one.id
    raise NotEntered(f"The client has no invoice {invoice}.")
