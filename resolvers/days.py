"""Days in the practice's time zone, from the request: SQL would use the server's time zone."""

import datetime as dt

from sqlalchemy import BindParameter, Date

from planner.deferred import Deferred, FieldError, bind
from resolvers.request_context import from_request

TODAY = from_request(lambda request: request.today)


def today() -> BindParameter[dt.date]:
    return bind(TODAY, Date())


def until_today(day: dt.date, today: dt.date) -> dt.date:
    """Return the day. Refuse one in the future."""
    if day > today:
        raise FieldError(
            "BAD_INPUT", f"{day} is in the future: use today, {today}, or an earlier day"
        )
    return day


def days_ago(days: int) -> Deferred[dt.date]:
    return from_request(lambda request: request.today - dt.timedelta(days=days))
