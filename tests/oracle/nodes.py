"""Rows with an id: the kind of an id, and the visibility of its row."""

from collections.abc import Callable
from typing import Any

import models
from tests.oracle import history
from tests.oracle.pages import bare_id
from tests.oracle.shown import SHOWN, Shown
from tests.oracle.world import World, refusal

MOST = 50


def practice(world: World, id_: str) -> Any:
    return world.practice if world.practice_id == id_ else None


def clinician(world: World, id_: str) -> Any:
    return world.by_id(models.Clinician, id_)


def client(world: World, id_: str) -> Any:
    found = world.by_id(models.Client, id_)
    return found if found and world.sees(found.id) else None


def session(world: World, id_: str) -> Any:
    found = world.by_id(models.Session, id_)
    return found if found and world.opens(found.client_id) else None


def document(model: type[models.Row]) -> Callable[[World, str], Any]:
    def found(world: World, id_: str) -> Any:
        row = world.by_id(model, id_)
        return row if row and world.reads(row) else None

    return found


def payment(world: World, id_: str) -> Any:
    found = world.by_id(models.Payment, id_)
    return found if found and world.sees_payment(found) else None


def receipt(world: World, id_: str) -> Any:
    found = world.by_id(models.Receipt, id_)
    return found if found and world.sees_payment(found) else None


def card(world: World, id_: str) -> Any:
    """Return a card on file; a removed card no longer exists."""
    found = world.by_id(models.PaymentMethod, id_)
    kept = found is not None and found.removed_at is None
    return found if kept and world.holder_may_pay(found) and world.sees_card(found) else None


def entry(world: World, id_: str) -> Any:
    seen = (one for client in world.clients() for one in history.entries(world, client.id))
    return next((one for one in seen if one.id == id_), None)


FOUND: dict[str, tuple[str, Callable[[World, str], Any]]] = {
    "pra": ("Practice", practice),
    "cln": ("Clinician", clinician),
    "cli": ("Client", client),
    "ses": ("Session", session),
    "inv": ("Invoice", document(models.Invoice)),
    "stm": ("Statement", document(models.Statement)),
    "sbl": ("Superbill", document(models.Superbill)),
    "pmt": ("Payment", payment),
    "rct": ("Receipt", receipt),
    "crd": ("PaymentMethod", card),
    "aht": ("AccountHistoryEntry", entry),
}


def node(world: World, id_: str) -> Shown | None:
    kind = id_.partition("_")[0]
    if kind not in FOUND:
        raise refusal("BAD_ID")
    name, find = FOUND[kind]
    row = find(world, bare_id(id_, kind))
    return None if row is None else SHOWN[name](world, row)


def nodes(world: World, ids: list[str]) -> list[Shown | None]:
    if len(ids) > MOST:
        raise refusal("BAD_INPUT")
    return [node(world, id_) for id_ in ids]
