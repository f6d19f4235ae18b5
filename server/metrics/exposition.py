"""The address /metrics: all numbers as Prometheus reads them, for a bearer of the token."""

import datetime as dt
import hmac
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from models.database import TransientError, every_practice
from models.measures import BUCKETS_S, MEASURES, CountMeasure, DurationMeasure
from server.metrics.snapshot import SharedSnapshots, Snapshot
from server.metrics.waiting import Waiting, waiting_rows

NO_STORE = {"Cache-Control": "no-store"}
# The names of gauges' labels, and their descriptions.
GAUGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "portal_reads_running": ("Planned reads that run now.", ("lane",)),
    "portal_reads_waiting": ("Planned reads that wait for a connection.", ("lane",)),
    "portal_write_connections": ("Connections for changes that are in use.", ("pool",)),
    "portal_audit_queue": ("Reads that were answered and are not in the audit log yet.", ()),
}
WAITING: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "portal_payments_waiting": ("Payments that are not final", ("state",)),
    "portal_webhook_inbox": ("Events of Stripe that are not processed", ()),
    "portal_mail_outbox": ("Sign-in mails that are not sent", ()),
    "portal_webhook_outbox": ("Events that endpoints of webhooks do not have yet", ("state",)),
}


class MetricsPage:
    """The page of /metrics. `engine` reads rows of every practice."""

    def __init__(
        self,
        token: str,
        engine: AsyncEngine,
        snapshots: SharedSnapshots,
        now: Callable[[], dt.datetime],
    ) -> None:
        self.token, self.engine, self.snapshots, self.now = token, engine, snapshots, now

    def address(self) -> Route:
        return Route("/metrics", self.answer)

    async def answer(self, request: Request) -> Response:
        if not self.is_allowed(request.headers.get("authorization", "")):
            headers = NO_STORE | {"WWW-Authenticate": 'Bearer realm="metrics"'}
            return PlainTextResponse("the token of METRICS_TOKEN is needed\n", 401, headers)
        waiting, is_up = await self.waiting()
        families = [
            GaugeMetricFamily("portal_database_up", "1: the database answers.", value=is_up),
            *families_of_snapshot(self.snapshots.total()),
            *families_of_waiting(waiting, self.now()),
        ]
        registry = CollectorRegistry(auto_describe=False)
        registry.register(Families(families))
        return Response(
            generate_latest(registry), headers=NO_STORE | {"Content-Type": CONTENT_TYPE_LATEST}
        )

    def is_allowed(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        is_same = hmac.compare_digest(token.strip().encode(), self.token.encode())
        return scheme.lower() == "bearer" and is_same

    async def waiting(self) -> tuple[Mapping[str, Waiting], bool]:
        """Return the rows that wait in the database, and whether the database answers."""
        try:
            async with every_practice(self.engine) as conn:
                return await waiting_rows(conn), True
        except TransientError:
            return {}, False


class Families:
    """A collector of families that are complete already."""

    def __init__(self, families: list[Metric]) -> None:
        self.families = families

    def collect(self) -> Iterator[Metric]:
        yield from self.families


def families_of_snapshot(snapshot: Snapshot) -> Iterator[Metric]:
    for name, (description, labels) in GAUGES.items():
        gauge = GaugeMetricFamily(name, description, labels=labels)
        for values, numbers in snapshot.get(name, {}).items():
            gauge.add_metric(values, numbers[0])
        yield gauge
    for measure in MEASURES:
        if isinstance(measure, CountMeasure):
            counter = CounterMetricFamily(measure.name, measure.description, labels=measure.labels)
            for values, numbers in snapshot.get(measure.name, {}).items():
                counter.add_metric(values, numbers[0])
            yield counter
        else:
            yield histogram(measure, snapshot)


def histogram(measure: DurationMeasure, snapshot: Snapshot) -> Metric:
    made = HistogramMetricFamily(measure.name, measure.description, labels=measure.labels)
    for values, (*counts, total) in snapshot.get(measure.name, {}).items():
        so_far, buckets = 0.0, []
        for limit, count in zip((*map(str, BUCKETS_S), "+Inf"), counts, strict=True):
            so_far += count
            buckets.append((limit, so_far))
        made.add_metric(values, buckets, total)
    return made


def families_of_waiting(waiting: Mapping[str, Waiting], now: dt.datetime) -> Iterator[Metric]:
    """Yield the number of rows that wait, and the age of the oldest one in seconds."""
    for name, (description, labels) in WAITING.items():
        count = GaugeMetricFamily(name, f"{description}.", labels=labels)
        age = GaugeMetricFamily(
            f"{name}_age_seconds", f"{description}: the age of the oldest.", labels=labels
        )
        for values, (number, oldest) in waiting.get(name, {}).items():
            count.add_metric(values, number)
            age.add_metric(values, (now - oldest).total_seconds() if oldest else 0)
        yield count
        yield age
