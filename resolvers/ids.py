"""Ids of the API: opaque, with a prefix for the type."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Text, cast

from models.row import ID
from planner.deferred import Deferred, FieldError, MaybeDeferred, bind, map_deferred
from planner.json_text import Concatenation
from planner.pagination import UUID

# Prefixes of ids. All other prefixes count as one, which limits the number of plans.
PREFIXES = frozenset("pra cln cli ses inv stm sbl pmt rct crd aht sgn idn".split())


def id_prefix(id_: MaybeDeferred[str]) -> str:
    """Return the kind of an API id, or "?" if it is not one of this API."""
    kind = id_.hint if isinstance(id_, Deferred) else str(id_).partition("_")[0]
    return kind if kind in PREFIXES else "?"


def api_id(kind: str, column: str = "id") -> Callable[[Any], ColumnElement[str]]:
    """Return a function from a row to its API id."""
    return lambda row: Concatenation([f"{kind}_", cast(row.c[column], Text)])


def row_id(id_: MaybeDeferred[str], kind: str) -> BindParameter[str]:
    """Return the row id in an API id of this kind, as a parameter."""
    if id_prefix(id_) != kind:
        raise FieldError("BAD_ID", f"not an id of this type, which begins with {kind}_")
    return bind(map_deferred(bare, id_), ID)


def bare(id_: str) -> str:
    text = id_.partition("_")[2]
    if not UUID.fullmatch(text):
        raise FieldError("BAD_ID", "not an id")
    return text
