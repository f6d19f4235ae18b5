"""Columns of rows have the types of their row classes, checked by mypy."""

import ast
import re
from pathlib import Path

import pytest
from mypy import api

from tests.support.demo_server import PROJECT

# Each wrong line says the code of mypy's error. The other lines are right.
SOURCES = """
import datetime as dt

import models
from graph.fields import column, field
from graph.mutations.inputs import PayInput, RefreshPaymentInput
from graph.mutations.mutation_field import mutation
from graph.types.money import Money, money_field
from planner.sources import Embedded, ToMany, Value
from planner.tables import RowOf
from resolvers import clients, invoices, statements
from resolvers.account_history import HistoryRow
from resolvers.changed_since import since
from resolvers.field_facts import BILLING
from resolvers.mutations import payments
from resolvers.money import Amount
from resolvers.visibility import Visibility


class Bill:
    issued_on: dt.date = column(models.Invoice.issued_on, "")
    due_on: dt.date | None = column(models.Invoice.due_on, "")
    misspelt: dt.date | None = column(models.Invoice.due_om, "")  # attr-defined
    nullable: dt.date = column(models.Invoice.due_on, "")  # assignment
    text: str = column(models.Invoice.serial, "")  # assignment
    total: Money = money_field(models.Invoice.total_minor, "")
    number: Money = money_field(models.Invoice.number, "")  # arg-type
    void: bool = field(Value[RowOf[models.Invoice]](lambda invoice: invoice.c.is_void))
    wrong: bool = field(Value[RowOf[models.Invoice]](lambda row: row.c.is_paid))  # attr-defined
    paid: Money = field(Embedded[invoices.InvoiceRow](lambda row: Amount(row.standing.paid)))
    owed: bool = field(Value[invoices.InvoiceRow](lambda row: row.standing.owed))  # attr-defined
    cost: Money = field(Embedded[HistoryRow](lambda row: Amount(row.c.minor)))  # attr-defined
    entry: str = field(Value[HistoryRow](lambda entry: entry.c.descripton))  # attr-defined
    lines: list[str] = field(ToMany[RowOf[models.Invoice]](invoices.lines))
    others: list[str] = field(ToMany[RowOf[models.Payment]](invoices.lines))  # arg-type
    pay: str | None = mutation(payments.pay, PayInput, "", description="", scopes=BILLING)
    renew: str | None = mutation(
        payments.pay, RefreshPaymentInput, "", description="", scopes=BILLING  # arg-type
    )


def of_source(visible: Visibility, line: RowOf[models.InvoiceLine]) -> None:
    invoice, client = visible(models.Invoice), visible(models.Client)
    _ = invoice.c.id == line.c.invoice_id
    _ = invoice.c.id == line.c.bill_id  # attr-defined
    since(invoice.c.version, "3")
    since(invoice.c.number, "3")  # arg-type
    statements.issuer(invoice, visible)
    statements.issuer(client, visible)  # arg-type
    clients.rows(visible, lambda table: table.c.folded_name == "")
    clients.rows(visible, lambda table: table.c.sort_name == "")  # attr-defined



"""
GENERIC = {"Value", "ViewerField", "Embedded", "EmbeddedList", "ConnectionItems"}


@pytest.mark.rest
def test_wrong_column_is_found_by_mypy(tmp_path: Path) -> None:
    file = tmp_path / "wrong_columns.py"
    file.write_text(SOURCES)
    settings = ["--config-file", str(PROJECT / "pyproject.toml"), "--no-error-summary"]
    output, failure, _ = api.run([*settings, str(file)])
    assert not failure, failure
    errors = re.findall(r"wrong_columns\.py:(\d+): error: .*\[([a-z-]+)\]$", output, re.MULTILINE)
    marked = [line.partition("  # ")[2] for line in SOURCES.splitlines()]
    assert {int(number): code for number, code in errors} == {
        number: code for number, code in enumerate(marked, 1) if code
    }, output


def test_every_lambda_of_a_source_has_a_row_class() -> None:
    """Without the class, `Value(lambda row: …)`, mypy would accept every column."""
    untyped = [
        f"{path.relative_to(PROJECT)}:{call.lineno}"
        for path in (PROJECT / "graph").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in GENERIC
        and any(isinstance(argument, ast.Lambda) for argument in call.args)
    ]
    assert untyped == []
