"""Days in the practice's time zone, from the request: SQL would use the server's time zone."""

import datetime as dt
from typing import Any

from sqlalchemy import BindParameter, Date

from planner.deferred import Later, bound

TODAY = Later(lambda asked: asked.today)


def today() -> BindParameter[Any]:
    return bound(TODAY, Date())


def days_ago(days: int) -> Later:
    return Later(lambda asked: asked.today - dt.timedelta(days=days))
