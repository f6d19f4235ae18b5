"""The clock that the server and its commands read."""

import datetime as dt


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
