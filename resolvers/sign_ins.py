"""Sign-ins: a person's own, while they work."""

from typing import Any

from sqlalchemy import ColumnElement

from identity.tokens import IDLE, works
from models import Token
from models.row import Instant
from resolvers.planner.jsontext import certain
from resolvers.planner.later import Later, bound
from resolvers.planner.sources import Rows
from resolvers.planner.texts import instant
from resolvers.sight import Sight


def of_viewer(_: Any, sight: Sight) -> Rows:
    """The viewer's, the newest first. Other tokens are no sign-ins."""
    table: Any = sight(Token)
    now = bound(Later(lambda asked: asked.now), Instant())
    idle_since = bound(Later(lambda asked: asked.now - IDLE), Instant())
    conditions = [table.c.is_sign_in, works(table, now, idle_since)]
    return Rows(table, conditions, (table.c.created_at, table.c.id), descending=True)


def last_used_at(token: Any) -> ColumnElement[str]:
    """Each of them has one."""
    return certain(instant(token.c.last_used_at))


def is_current(token: Any, sight: Sight) -> ColumnElement[bool]:
    current: ColumnElement[bool] = token.c.id == sight.token_id
    return current
