"""Days in the practice's time zone, from the request: SQL would use the server's time zone."""

import datetime as dt
from typing import Any

from sqlalchemy import BindParameter, Date

from planner.deferred import Deferred, bind

TODAY = Deferred(lambda context: context.today)


def today() -> BindParameter[Any]:
    return bind(TODAY, Date())


def days_ago(days: int) -> Deferred:
    return Deferred(lambda context: context.today - dt.timedelta(days=days))
