"""The oracle is independent of the code under test, and the practices that it judges are
consistent.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from models import Client, EntryKind, Invoice, LedgerEntry, Payment
from tests.oracle import Oracle, money, payments
from tests.oracle.world import World
from tests.support.comparison import Comparison
from tests.support.practices.random_values import NOW

pytestmark = pytest.mark.twins(1)

ORACLE = Path(__file__).parent.parent / "oracle"
OURS = {"server", "graph", "execution", "resolvers", "demo", "identity", "billing", "planner"}
# Modules of `models` that the oracle may not import; the tables and their enums it may.
READING = {"connections", "literals", "migrations", "ids"}


def test_oracle_imports_no_code_under_test() -> None:
    names = {name for path in ORACLE.glob("*.py") for name in imported(path)}
    assert "models" in {name.partition(".")[0] for name in names}
    assert not {name for name in names if name.partition(".")[0] in OURS}
    assert not {name for name in names if READING & set(name.split("."))}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def worlds(oracle: Oracle, tokens: dict[str, str]) -> list[World]:
    return [World(oracle.tables, id_, NOW) for who, id_ in tokens.items() if "board" in who]


async def test_ledger_balance_is_the_amount_due_less_unused_credit(comparison: Comparison) -> None:
    for world in worlds(comparison.oracle, comparison.practices.tokens):
        for client in world.where(Client):
            ledger = money.summed(world.where(LedgerEntry, client_id=client.id))
            assert ledger == money.balance(world, client.id)
            assert ledger == sum(term.amount for term in money.terms(world, client.id))
            assert money.credit(world, client.id) >= 0


async def test_invoices_ledger_entries_are_its_lines_and_corrections(
    comparison: Comparison,
) -> None:
    charged = (EntryKind.SESSION, EntryKind.CHARGE)
    for world in worlds(comparison.oracle, comparison.practices.tokens):
        for invoice in world.where(Invoice):
            rows = world.where(LedgerEntry, invoice_id=invoice.id)
            charges = money.summed(row for row in rows if row.kind in charged)
            assert charges == (0 if invoice.is_void else invoice.total_minor)
            assert money.due(world, invoice) >= 0
            assert not invoice.is_void or money.summed(rows) == money.paid(world, invoice) == 0


async def test_practices_have_all_hard_cases(comparison: Comparison) -> None:
    decided = set[str]()
    for world in worlds(comparison.oracle, comparison.practices.tokens):
        statuses = {money.status(world, invoice) for invoice in world.where(Invoice)}
        assert statuses == {"PAID", "PARTIALLY_PAID", "UNPAID", "VOID"}
        assert {row.kind for row in world.where(LedgerEntry)} == set(EntryKind)
        decided |= {payments.status(world, payment) for payment in world.where(Payment)}
        assert any(money.is_past_due(world, invoice) for invoice in world.where(Invoice))
        assert any(invoice.total_minor < 0 for invoice in world.where(Invoice))
        assert {True, False} == {one.shared_at is None for one in world.where(Invoice)}
    assert decided >= {"SUCCEEDED", "DISPUTED"}
