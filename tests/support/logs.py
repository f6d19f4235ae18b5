"""The log of the server, as a process of `portal serve` writes it."""

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from server import logs, security_log
from server.logs import LogFormat
from server.security_log import SecurityLog

NAMES = ("", "uvicorn", "uvicorn.error", "uvicorn.access", "portal.requests", "portal.security")


@contextmanager
def captured_log(format_: LogFormat = LogFormat.JSON) -> Iterator[io.StringIO]:
    """Yield all lines that the server logs, including those of requests and security events."""
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(one.handlers[:], one.propagate, one.level) for one in loggers]
    written = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", written)
        logs.configure(format_, requests=True)
        security_log.configure(SecurityLog.STDERR)
        try:
            yield written
        finally:
            for one, (handlers, propagate, level) in zip(loggers, before, strict=True):
                one.handlers, one.propagate = handlers, propagate
                one.setLevel(level)
