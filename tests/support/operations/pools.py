"""Meaningful values for a viewer's arguments: ids, cursors of real rows, days, names."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models import (
    AccessEntry,
    Client,
    Clinician,
    Invoice,
    LedgerEntry,
    Payment,
    PaymentMethod,
    Practice,
    Receipt,
    Row,
    Scope,
    Session,
    Statement,
    Superbill,
)
from tests.oracle.clients import (
    ACCESS,
    CLIENTS,
    HISTORY,
    INVOICES,
    PAYMENTS,
    RECEIPTS,
    SESSIONS,
    STATEMENTS,
    SUPERBILLS,
)
from tests.oracle.history import entries
from tests.oracle.names import folded
from tests.oracle.nodes import node
from tests.oracle.scopes import of_id
from tests.oracle.world import Tables, World
from tests.support.comparison import Comparison
from tests.support.practices.random_values import NOW, TODAY

DAYS = [TODAY + dt.timedelta(days=days) for days in (-61, -60, -31, -30, -29, -3, -1, 0, 1, 30)]
# Ends of periods: of years, months and ISO 8601 weeks, leap days, days without entries, and days on
# which the age of an amount due changes.
EDGES = [
    *(dt.date.fromisoformat(day) for day in (
        "2024-02-28", "2024-02-29", "2024-12-29", "2024-12-30", "2025-02-28", "2025-03-01",
        "2025-12-28", "2025-12-29", "2025-12-31", "2026-01-01", "2026-01-04", "2026-01-05",
        "2026-01-31", "2026-02-01", "2026-02-28", "2026-03-01", "2026-03-31", "2026-04-01",
    )),
    *(TODAY - dt.timedelta(days=days) for days in (120, 61, 60, 31, 30, 29, 3, 1, 0, -1)),
]  # fmt: skip
FIRST_OF_ALL, TO_COME = dt.date.min, TODAY + dt.timedelta(days=1)
JUNK_CURSORS = [
    "",
    "00",
    "zz",
    b"history~2026-02-30~x".hex(),
    b"invoice-number~".hex(),
    b"client-name~ana".hex(),
]
JUNK_IDS = ["", "cli_", "cli_1", "inv_00000000-0000-4000-8000-000000000000", "CLI_x", "cli"]
# Ids of no kind.
JUNK_NODES = ["", "cli_", "pmt_1", "CLI_x", "cli", "xyz_00000000-0000-4000-8000-000000000000",
              "rct_00000000-0000-4000-8000-00000000000G"]  # fmt: skip
NOWHERE = "00000000-0000-4000-8000-000000000000"
SEARCHES = ["", " ", "zzz", "JOSÉ", "jose m", "maria nun", "o", "O'", "\u0301", "%", "strasse s"]

KINDS = {
    "pra": Practice, "cln": Clinician, "cli": Client, "ses": Session, "inv": Invoice,
    "stm": Statement, "sbl": Superbill, "pmt": Payment, "rct": Receipt, "crd": PaymentMethod,
}  # fmt: skip


@dataclass(frozen=True)
class Pool:
    """The values of one viewer. Cursors are grouped by the name of their order."""

    who: str
    client_ids: Sequence[str]
    strange_ids: Sequence[str]
    clinician_ids: Sequence[str]
    # Ids of visible rows by kind, and ids of invisible rows of any kind.
    node_ids: dict[str, list[str]]
    hidden_ids: Sequence[str]
    searches: Sequence[str]
    cursors: dict[str, list[str]]
    sees_one: bool
    scopes: frozenset[Scope]

    @property
    def sees_health(self) -> bool:
        return Scope.PHI_READ in self.scopes


def pools(comparison: Comparison) -> list[Pool]:
    """Return the pools of all viewers; those with more rows or reports occur several times."""
    found = [pool(comparison, who) for who in comparison.practices.tokens]
    return [one for one in found for _ in range(weight(one))]


def weight(one: Pool) -> int:
    if Scope.AGGREGATES_READ in one.scopes:
        return 8
    return 4 if len(one.cursors["history"]) > 9 else 1


def pool(comparison: Comparison, who: str) -> Pool:
    tables, tokens = comparison.oracle.tables, comparison.practices.tokens
    world = World(tables, tokens[who], NOW)
    seen = [client.id for client in world.clients()]
    others = [row.id for row in tables.rows[Client] if row.id not in seen]

    def of(model: type[Row]) -> list[Any]:
        return [row for row in world.where(model) if row.client_id in seen]

    entered = of(LedgerEntry)
    listed: list[tuple[Any, list[Any]]] = [
        *((order, of(Invoice)) for order in INVOICES.values()),
        *((order, tables.rows[Client]) for order in CLIENTS.values()),
        (STATEMENTS, of(Statement)),
        (SUPERBILLS, of(Superbill)),
        (PAYMENTS, of(Payment)),
        (RECEIPTS, of(Receipt)),
        (SESSIONS, of(Session)),
        (ACCESS, of(AccessEntry)),
        (HISTORY, [entry for id_ in seen for entry in entries(world, id_)]),
    ]
    scopes = frozenset(map(Scope, world.token.scopes))
    shown, hidden = ids_of(world, tables)
    # Clients with more entries are chosen more often.
    moved = [row.client_id for row in entered][::5]
    return Pool(
        who,
        client_ids=[f"cli_{id_}" for id_ in (*seen, *moved)],
        strange_ids=[f"cli_{id_}" for id_ in others],
        clinician_ids=[f"cln_{row.id}" for row in tables.rows[Clinician]],
        node_ids={kind: ids for kind, ids in shown.items() if of_id(kind) <= scopes},
        hidden_ids=[id_ for id_ in hidden if of_id(id_) <= scopes],
        searches=[*SEARCHES, *beginnings(world)],
        cursors={
            order.name: [order.cursor(order.keys(row)) for row in rows] for order, rows in listed
        },
        sees_one=len(seen) == 1,
        scopes=scopes,
    )


def ids_of(world: World, tables: Tables) -> tuple[dict[str, list[str]], list[str]]:
    """Return the ids of visible rows by kind, and some of invisible ones."""
    ids = [f"{kind}_{row.id}" for kind, model in KINDS.items() for row in tables.rows[model]]
    # Ids of account history entries come from three tables.
    entered = [f"aht_{id_[4:]}" for id_ in ids if id_[:3] in ("ses", "pmt")]
    entered += [f"aht_{row.id}" for row in tables.rows[LedgerEntry]]
    seen = {entry.id for client in world.clients() for entry in entries(world, client.id)}
    shown: dict[str, list[str]] = {"aht": sorted(f"aht_{id_}" for id_ in seen)}
    hidden = [f"{kind}_{NOWHERE}" for kind in (*KINDS, "aht")]
    hidden += [id_ for id_ in entered if id_[4:] not in seen]
    for id_ in ids:
        if node(world, id_) is None:
            hidden.append(id_)
        else:
            shown.setdefault(id_[:3], []).append(id_)
    # Existing ids under another prefix.
    hidden += [f"inv_{id_[4:]}" for id_ in shown.get("cli", ())]
    return {kind: of_kind for kind, of_kind in shown.items() if of_kind}, hidden


def beginnings(world: World) -> list[str]:
    """Return search texts from visible names: beginnings of one or two words, in either case."""
    found: list[str] = []
    for client in world.clients():
        words = folded(client.name).split()
        for number, word in enumerate(words):
            found += [word[:2], word.upper(), " ".join(words[number : number + 2])[:-1]]
    return [search for search in found if search]
