"""Credit on the command line: given, and put toward invoices."""

from billing.entry.commands import client_entries
from billing.entry.credits import Credit, CreditUse, give_credit, use_credit
from models import Client, Invoice
from server.cli.amounts import decimal, minor_units
from server.cli.entering import Key, entering_for, external_id
from server.settings import Settings


async def give(
    settings: Settings, client: str, amount: str, description: str, external: Key
) -> str:
    """Give credit, and return the entry's id."""
    async with (
        entering_for(settings, "portal credit give", Client, client) as (context, row),
        client_entries(context, row.practice_id, row.id) as entries,
    ):
        wanted = Credit(minor_units(amount, entries.facts.currency), description)
        return f"aht_{await entries.enter(give_credit, wanted, external_id(external))}"


async def apply(settings: Settings, invoice: str, amount: str, external: Key) -> str:
    """Put unused credit toward an invoice, and return a sentence about the invoice."""
    async with (
        entering_for(settings, "portal credit apply", Invoice, invoice) as (context, row),
        client_entries(context, row.practice_id, row.client_id) as entries,
    ):
        currency = entries.facts.currency
        wanted = CreditUse(row.id, minor_units(amount, currency))
        await entries.enter(use_credit, wanted, external_id(external))
        due = decimal(entries.ledger.invoice(row.id).due, currency)
    return f"Of invoice {row.number} {due} {currency} is due."
