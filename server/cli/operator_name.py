"""The operator's name at the command line, as given or as the operating system knows it."""

import getpass
import os
from contextvars import ContextVar

VARIABLE = "PORTAL_OPERATOR"
# The name given by `portal --as NAME`, or by the variable.
given_name: ContextVar[str | None] = ContextVar("given_name", default=None)


def name() -> str:
    """Return the operator's name: as given, or the name of the operating system's user."""
    return given_name.get() or os.environ.get(VARIABLE) or user()


def user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user need not have a name.
        return f"uid {os.getuid()}"
