"""The operator at the command line, for the audit log."""

import getpass
import os
from collections.abc import Sequence
from contextvars import ContextVar

from billing.access import Actor
from models import ActorKind

VARIABLE = "PORTAL_OPERATOR"
# The name given by `portal --as NAME`, or by the variable.
named: ContextVar[str | None] = ContextVar("named", default=None)


def name() -> str:
    """Return the operator's name: as given, or the name of the operating system's user."""
    return named.get() or os.environ.get(VARIABLE) or user()


def user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user need not have a name.
        return f"uid {os.getuid()}"


def operator(practice_id: str, command: str, fields: Sequence[str] = ()) -> Actor:
    """Return the actor of a command, as named in the audit log."""
    kind = ActorKind.OPERATOR
    return Actor(practice_id, kind, operation=command, fields=fields, name=name())
