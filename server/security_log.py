"""The destination of security events."""

import enum
import logging
import sys

from billing.security_events import log


class SecurityLog(enum.StrEnum):
    """Destinations of security events."""

    STDERR = "stderr"
    STDOUT = "stdout"
    OFF = "off"


def configure(destination: SecurityLog) -> None:
    """Write security events to a stream of this process, each as a line of its own."""
    log.handlers.clear()
    # The lines are for programs, so they must not get another log's format.
    log.propagate = False
    if destination is SecurityLog.OFF:
        log.setLevel(logging.CRITICAL)
        return
    log.setLevel(logging.INFO)
    stream = sys.stdout if destination is SecurityLog.STDOUT else sys.stderr
    log.addHandler(logging.StreamHandler(stream))
