"""Check of the endpoints of webhooks: whether they get their events."""

from sqlalchemy import select

from billing.outbox.delivery import UNREADABLE
from billing.outbox.endpoints import secrets_of_endpoint
from models import EndpointStatus, EventEndpoint
from server.cli.checks.check import CheckContext, CheckResult, listed
from server.clock import utc_now


async def check_endpoints(context: CheckContext) -> CheckResult:
    """Return whether all endpoints are active and accept their events."""
    keys, now = context.settings.field_keys, utc_now()
    stopped, failing = list[str](), list[str]()
    async with context.engine.connect() as conn:
        endpoints = (await conn.execute(select(EventEndpoint.__table__))).all()
    for one in endpoints:
        name = f"Endpoint whe_{one.id} of pra_{one.practice_id}"
        if secrets_of_endpoint(keys, one, now) is None:
            stopped.append(f"{name} gets nothing: {UNREADABLE}.")
        elif one.status is not EndpointStatus.ACTIVE:
            stopped.append(f"{name} is {one.status.lower()}{because(one.last_error)}.")
        elif one.failures:
            failing.append(f"{name} has failed {one.failures:,} times{because(one.last_error)}.")
    if stopped:
        return CheckResult.failed(listed(stopped))
    if failing:
        return CheckResult.warning(listed(failing))
    return CheckResult.ok(f"Endpoints of webhooks that accept their events: {len(endpoints):,}.")


def because(error: str | None) -> str:
    return f" ({error})" if error else ""
