"""What a viewer may ask with so that it means something: ids, cursors of real rows, days."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models import Client, Invoice, LedgerEntry, Row, Statement, Superbill
from tests.comparison import Comparison
from tests.oracle.clients import HISTORY, INVOICES, STATEMENTS, SUPERBILLS
from tests.oracle.world import World
from tests.practices.draws import TODAY

DAYS = [TODAY + dt.timedelta(days=days) for days in (-61, -60, -31, -30, -29, -3, -1, 0, 1, 30)]
JUNK_CURSORS = ["", "00", "zz", b"history~2026-02-30~x".hex(), b"invoice-number~".hex()]
JUNK_IDS = ["", "cli_", "cli_1", "inv_00000000-0000-4000-8000-000000000000", "CLI_x", "cli"]


@dataclass(frozen=True)
class Pool:
    """Of one viewer. Cursors are by the name of their order."""

    who: str
    client_ids: Sequence[str]
    strange_ids: Sequence[str]
    cursors: dict[str, list[str]]
    sees_one: bool
    sees_health: bool


def pools(comparison: Comparison) -> list[Pool]:
    """Of every viewer; of those who see more, several times."""
    found = [pool(comparison, who) for who in comparison.practices.tokens]
    return [one for one in found for _ in range(4 if len(one.cursors["history"]) > 9 else 1)]


def pool(comparison: Comparison, who: str) -> Pool:
    tables, tokens = comparison.oracle.tables, comparison.practices.tokens
    world = World(tables, tokens[who], TODAY)
    seen = [client.id for client in world.clients()]
    others = [row.id for row in tables.rows[Client] if row.id not in seen]

    def of(model: type[Row]) -> list[Any]:
        return [row for row in world.where(model) if row.client_id in seen]

    entered = of(LedgerEntry)
    listed: list[tuple[Any, list[Any]]] = [
        *((order, of(Invoice)) for order in INVOICES.values()),
        (STATEMENTS, of(Statement)),
        (SUPERBILLS, of(Superbill)),
        (HISTORY, entered),
    ]
    # Whoever's account moved more is asked for more often.
    moved = [row.client_id for row in entered][::5]
    return Pool(
        who,
        client_ids=[f"cli_{id_}" for id_ in (*seen, *moved)],
        strange_ids=[f"cli_{id_}" for id_ in others],
        cursors={
            order.name: [order.cursor(order.keys(row)) for row in rows] for order, rows in listed
        },
        sees_one=len(seen) == 1,
        sees_health="without phi" not in who,
    )
