"""The operator at the command line, for the audit log."""

from collections.abc import Sequence

from billing.audit_log import Actor
from models import ActorKind
from server.cli.operator_name import name


def operator(practice_id: str, command: str, fields: Sequence[str] = ()) -> Actor:
    """Return the actor of a command, as named in the audit log."""
    kind = ActorKind.OPERATOR
    return Actor(practice_id, kind, operation=command, fields=fields, name=name())
