"""The process's log: lines of text or of JSON on stderr, each with the id of its request.

`docs/logs.md` describes the lines. The log of security events has a destination of its own
(`server/security_log.py`).
"""

import datetime as dt
import enum
import json
import logging
import logging.config
import sys
from collections.abc import Mapping
from typing import Any

import orjson

from models.request_facts import request_id

REQUESTS = logging.getLogger("portal.requests")
# The loggers of uvicorn, which has handlers of its own, and the level of each.
UVICORN = {
    "uvicorn": "INFO",
    "uvicorn.error": "INFO",
    "uvicorn.access": "CRITICAL",
}

Fact = str | int | float | None


class LogFormat(enum.StrEnum):
    """Formats of the log."""

    TEXT = "text"
    JSON = "json"


class TextLines(logging.Formatter):
    """Lines for people: `WARNING portal: the database answers again (request 3f2a-1c)`."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's own name)
        id_ = request_id()
        return super().formatMessage(record) + (f" (request {id_})" if id_ else "")


class JsonLines(logging.Formatter):
    """One JSON object a line, for programs."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Fact] = {
            "at": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (id_ := request_id()) is not None:
            line["requestId"] = id_
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_config(format_: LogFormat) -> dict[str, Any]:
    """Return the configuration of all logs of a process, for uvicorn and `logging.config`."""
    formatter = JsonLines if format_ is LogFormat.JSON else TextLines
    stderr = {
        "class": "logging.StreamHandler",
        "formatter": "lines",
        "stream": "ext://sys.stderr",
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": formatter}},
        "handlers": {"stderr": stderr},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            name: {"handlers": [], "propagate": True, "level": level}
            for name, level in UVICORN.items()
        },
    }


def configure(format_: LogFormat, *, requests: bool) -> None:
    """Write all logs of this process to stderr. `requests` adds a line for each request."""
    logging.config.dictConfig(log_config(format_))
    # Its lines are complete when they are logged.
    REQUESTS.handlers, REQUESTS.propagate = [logging.StreamHandler(sys.stderr)], False
    REQUESTS.setLevel(logging.INFO if requests else logging.CRITICAL)
    REQUEST_LINE.format = format_


class RequestLine:
    """The writer of a request's line, in the format of the log."""

    def __init__(self) -> None:
        self.format = LogFormat.TEXT

    def write(self, facts: Mapping[str, Fact]) -> None:
        known = {name: value for name, value in facts.items() if value is not None}
        if self.format is LogFormat.JSON:
            at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
            head = {"at": at, "level": "info", "logger": REQUESTS.name}
            REQUESTS.info(orjson.dumps(head | known).decode())
        else:
            words = " ".join(f"{name}={value}" for name, value in known.items())
            REQUESTS.info("INFO %s: %s", REQUESTS.name, words)


REQUEST_LINE = RequestLine()
