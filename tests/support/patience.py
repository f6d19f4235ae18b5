"""Limits of time for the servers of the tests, so long that no load of the machine decides a test.

Tests about a limit set their own.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from billing.payments import context
from execution import anonymous, authentication, planning_thread

# The longest that the settings may be.
SETTINGS = {
    "LOCK_TIMEOUT_S": "60",
    "QUEUE_TIMEOUT_S": "60",
    "STATEMENT_TIMEOUT_S": "600",
    "DASHBOARD_TIMEOUT_S": "600",
    "IDLE_TIMEOUT_S": "600",
    "REQUEST_TIMEOUT_S": "600",
    "TOKEN_SECONDS": "6000",
}
# Limits without a setting, for servers in the tests' process. Planning doesn't rest.
CONSTANTS = [
    (context, "TURN_S"),
    (anonymous, "WAIT_S"),
    (authentication, "WAIT_S"),
    (planning_thread, "BURST_S"),
]
DEFAULTS = [getattr(module, name) for module, name in CONSTANTS]


@contextmanager
def patient() -> Iterator[None]:
    """Give long limits to the servers that are started inside the context."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        for module, name in CONSTANTS:
            patch.setattr(module, name, 60.0)
        yield


@contextmanager
def as_in_production() -> Iterator[None]:
    """Give them the limits of production again, inside `patient`."""
    with pytest.MonkeyPatch.context() as patch:
        for name in SETTINGS:
            patch.delenv(name)
        for (module, name), value in zip(CONSTANTS, DEFAULTS, strict=True):
            patch.setattr(module, name, value)
        yield
