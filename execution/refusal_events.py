"""Refusals of whole operations, for the audit log and as security events."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from billing.security_events import LIMIT_REFUSED, SCOPE_REFUSED
from execution.read_audit import RequestReads
from identity.viewer import Viewer
from identity.viewer_events import viewer_event_fields
from models import Scope
from planner.operation import Errors, graphql_error

Lacking = Mapping[Scope, Sequence[str]]


def introspection_off() -> Errors:
    return [graphql_error("INTROSPECTION_OFF", "introspection is turned off on this server")]


def emit_limit_refused(errors: Errors, viewer: Viewer | None, address_hash: str | None) -> None:
    """Emit an event if any of the errors reports an exceeded limit."""
    extensions = [one.extensions or {} for one in errors]
    limits = sorted({str(one["limit"]) for one in extensions if "limit" in one})
    if limits:
        LIMIT_REFUSED.emit(**viewer_event_fields(viewer, address_hash), limits=limits)


def emit_budget_refused(viewer: Viewer | None, address_hash: str | None) -> None:
    """Emit an event for a token that has used up its database budget."""
    LIMIT_REFUSED.emit(**viewer_event_fields(viewer, address_hash), limits=["budget"])


def emit_scope_refused(lacking: Lacking, viewer: Viewer, address_hash: str | None) -> None:
    """Emit an event for the scopes that a viewer lacks."""
    scopes = sorted(scope.written for scope in lacking)
    SCOPE_REFUSED.emit(
        **viewer_event_fields(viewer, address_hash), scopes=scopes, fields=fields_of_all(lacking)
    )


def scopes_lacked(reads: RequestReads | None, lacking: Lacking) -> RequestReads:
    """Return the audit entry of a refused request: the fields that need the missing scopes."""
    fields = tuple(fields_of_all(lacking))
    if reads is None:
        return RequestReads(None, fields, of_all=True, refused=True)
    return replace(reads, fields=fields, refused=True)


def fields_of_all(lacking: Lacking) -> list[str]:
    return sorted({field for fields in lacking.values() for field in fields})
