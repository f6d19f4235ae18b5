"""Look-up of objects of any type by their ids."""

from collections.abc import Callable, Sequence

from sqlalchemy import cast

from models.row import ID
from planner.deferred import FieldError, MaybeDeferred, bind, map_deferred
from planner.sources import NodeKind, Rows
from resolvers import (
    account_history,
    clients,
    invoices,
    payment_methods,
    payments,
    sessions,
    statements,
    superbills,
    viewer_fields,
)
from resolvers.filters import Texts, as_one
from resolvers.ids import bare, id_prefix, row_id
from resolvers.list_parameter import ListParameter
from resolvers.visibility import Visibility

MOST = 50


def by_row_id(find: Callable[..., Rows]) -> Callable[..., Rows]:
    """Return a look-up by id, based on a function that returns rows for conditions."""
    return lambda id_, sight, *_: find(sight, lambda table: table.c.id == id_)


FOUND: dict[str, tuple[str, Callable[..., Rows]]] = {
    "pra": ("Practice", by_row_id(viewer_fields.practices)),
    "cln": ("Clinician", by_row_id(viewer_fields.clinician_rows)),
    "cli": ("Client", by_row_id(clients.rows)),
    "ses": ("Session", by_row_id(sessions.rows)),
    "inv": ("Invoice", by_row_id(invoices.rows)),
    "stm": ("Statement", by_row_id(statements.rows)),
    "sbl": ("Superbill", by_row_id(superbills.rows)),
    "pmt": ("Payment", by_row_id(payments.rows)),
    "rct": ("Receipt", by_row_id(payments.receipt_rows)),
    "crd": ("PaymentMethod", by_row_id(payment_methods.rows)),
    "aht": ("AccountHistoryEntry", account_history.by_id),
}


def pick(id: MaybeDeferred[str]) -> tuple[str, Callable[..., Rows]]:
    """Return the type of an id, and the look-up of its rows."""
    kind = id_prefix(id)
    if kind not in FOUND:
        raise FieldError("BAD_ID", "not an id")
    name, find = FOUND[kind]
    return name, lambda _, sight: find(row_id(id, kind), sight)


# -- several at once -------------------------------------------------------------------------------


class RequestedId:
    """A requested id: its kind and its row id."""

    def __init__(self, listed: ListParameter) -> None:
        self.table = listed.table
        self.kind = listed.text(1, 3)
        self.id = cast(listed.text(5), ID)


def requested_ids(_: object, visible: Visibility, ids: Sequence[MaybeDeferred[str]]) -> Rows:
    """Return the ids as rows, in the requested order."""
    listed = ListParameter(bind(map_deferred(checked_ids, as_one(ids)), Texts()), visible)
    return Rows(listed.table, [], (listed.place,), row=RequestedId(listed))


def checked_ids(ids: Sequence[str]) -> Sequence[str]:
    if len(ids) > MOST:
        raise FieldError("BAD_INPUT", f"at most {MOST} ids at a time, not {len(ids)}")
    for id_ in ids:
        bare(id_)
        if id_prefix(id_) not in FOUND:
            raise FieldError("BAD_ID", "not an id")
    return ids


def node_kind(find: Callable[..., Rows]) -> Callable[[RequestedId, Visibility], Rows]:
    return lambda row, visible: find(row.id, visible, row.table)


KINDS = {kind: NodeKind(name, node_kind(find)) for kind, (name, find) in FOUND.items()}
