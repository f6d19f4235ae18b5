"""The balances that a folder's records come to, by plain decimals and without the server's code."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
Rows = Sequence[Mapping[str, str]]


def folder_balances(folder: Mapping[str, Rows]) -> dict[str, Decimal]:
    """Return the balance of each client that has records, by the client's id."""
    balances: dict[str, Decimal] = defaultdict(Decimal)
    payments = {row["id"]: row for row in folder.get("payments", ())}
    invoices = {row["id"]: row for row in folder.get("invoices", ())}
    for row in folder.get("clients", ()):
        balances[row["id"]] += 0
    for row in folder.get("invoice_lines", ()):
        invoice = invoices[row["invoice_id"]]
        if not invoice.get("voided_on"):
            quantity = Decimal(row.get("quantity") or "1")
            price = Decimal(row["unit_price"])
            amount = (quantity * price).quantize(CENT, ROUND_HALF_UP)
            balances[invoice["client_id"]] += amount
    for row in payments.values():
        balances[row["client_id"]] -= Decimal(row["amount"])
    for row in folder.get("refunds", ()):
        balances[payments[row["payment_id"]]["client_id"]] += Decimal(row["amount"])
    for row in folder.get("credits", ()):
        balances[row["client_id"]] -= Decimal(row["amount"])
    for row in folder.get("opening_balances", ()):
        balances[row["client_id"]] += Decimal(row["amount"])
    for row in folder.get("adjustments", ()):
        invoice = invoices[row["invoice_id"]]
        sign = -1 if row["kind"] == "WRITE_OFF" else 1
        if not invoice.get("voided_on"):
            balances[invoice["client_id"]] += sign * Decimal(row["amount"])
    return dict(balances)
