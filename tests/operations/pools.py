"""What a viewer may ask with so that it means something: ids, cursors of real rows, days."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models import Client, Invoice, Statement, Superbill
from tests.comparison import Comparison
from tests.oracle.clients import HISTORY, INVOICES, STATEMENTS, SUPERBILLS
from tests.oracle.history import entries
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
    return [pool(comparison, who) for who in comparison.practices.tokens]


def pool(comparison: Comparison, who: str) -> Pool:
    tables, tokens = comparison.oracle.tables, comparison.practices.tokens
    world = World(tables, tokens[who], TODAY)
    seen = [client.id for client in world.clients()]
    others = [row.id for row in tables.rows[Client] if row.id not in seen]
    listed: list[tuple[Any, list[Any]]] = [
        *((order, world.where(Invoice)) for order in INVOICES.values()),
        (STATEMENTS, world.where(Statement)),
        (SUPERBILLS, world.where(Superbill)),
        (HISTORY, [entry for id_ in seen for entry in entries(world, id_)]),
    ]
    return Pool(
        who,
        client_ids=[f"cli_{id_}" for id_ in seen],
        strange_ids=[f"cli_{id_}" for id_ in others],
        cursors={
            order.name: [order.cursor(order.keys(row)) for row in rows] for order, rows in listed
        },
        sees_one=len(seen) == 1,
        sees_health="without phi" not in who,
    )
