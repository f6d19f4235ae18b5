"""Tests of /metrics: its readers, its counts, and its answer without the database."""

import datetime as dt
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from models import EndpointStatus, EventEndpoint, OutboxEvent, StripeEvent
from models.database import DatabaseUnavailable
from models.ids import new_id
from models.measures import STATEMENT_SECONDS
from server.cli import serve
from server.metrics import exposition
from server.metrics.snapshot import FOLDER, SharedSnapshots
from tests.support.factories import DEFAULTS
from tests.support.payments import ASKS, DECLINED, Paying, paying
from tests.support.portal import Portal, served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
TOKEN = "a token for a monitor, of enough characters"
READ = "{ client { name invoices(first: 3) { totalCount } } }"
Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Paying]:
    async with new_database() as url, paying(url, metrics_token=SecretStr(TOKEN)) as portal:
        yield portal


async def page(portal: Portal) -> str:
    answer = await portal.http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return answer.text


async def scraped(portal: Portal) -> Numbers:
    """Return each sample's number, by its name and labels."""
    families = text_string_to_metric_families(await page(portal))
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in families
        for one in family.samples
    }


def number(numbers: Numbers, name: str, **labels: str) -> float:
    return numbers.get((name, frozenset(labels.items())), 0.0)


async def risen(portal: Portal, before: Numbers, name: str, **labels: str) -> float:
    return number(await scraped(portal), name, **labels) - number(before, name, **labels)


# -- access ----------------------------------------------------------------------------------------


async def test_only_the_bearer_of_the_token_reads_it(portal: Paying) -> None:
    for header in (None, "", "Bearer", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", portal.bearer):
        headers = {} if header is None else {"Authorization": header}
        refused = await portal.http.get("/metrics", headers=headers)
        assert (refused.status_code, "portal_" in refused.text) == (401, False)
    assert "portal_request_seconds_bucket" in await page(portal)
    assert (await portal.http.post("/metrics")).status_code == 405


async def test_without_a_token_in_the_settings_there_is_no_page(new_database: NewDatabase) -> None:
    async with new_database() as url, served(url) as portal:
        headers = {"Authorization": "Bearer "}
        assert (await portal.http.get("/metrics", headers=headers)).status_code == 404


async def test_no_id_and_no_name_is_on_the_page(portal: Paying) -> None:
    await portal.invoice(10_000)
    await portal.pay(10_000, portal.card())
    await portal.ask("query Secret { client { name } }", portal.bearer)
    await portal.http.get("/secret/path")
    text = await page(portal)
    for word in (portal.practice_id, portal.client_id, "Ana", "Secret", "secret", "acct_"):
        assert word not in text


# -- counts ----------------------------------------------------------------------------------------


async def test_requests_are_counted_by_route_and_outcome(portal: Paying) -> None:
    before, name = await scraped(portal), "portal_request_seconds_count"
    for _ in range(3):
        assert "data" in (await portal.ask(READ, portal.bearer)).json()
    assert "errors" in (await portal.ask("{ nonsense }", portal.bearer)).json()
    assert (await portal.ask(READ, "cbp_wrong")).status_code == 401
    await portal.http.get("/livez")
    await portal.http.get("/documents/nonsense")
    await portal.http.get("/nonsense/of/a/stranger")
    after = await scraped(portal)
    for route, outcome, count in (
        ("graphql", "ok", 3),
        ("graphql", "refused", 2),
        ("livez", "ok", 1),
        ("documents", "refused", 1),
        ("other", "refused", 1),
    ):
        labels = {"route": route, "outcome": outcome}
        assert number(after, name, **labels) - number(before, name, **labels) == count, labels


async def test_repeated_requests_are_answered_from_the_caches(portal: Paying) -> None:
    before, name = await scraped(portal), "portal_cache_lookups_total"
    for _ in range(3):
        await portal.ask(READ, portal.bearer)
    assert await risen(portal, before, name, cache="plans", result="miss") == 1
    assert await risen(portal, before, name, cache="requests", result="hit") >= 1
    ran = await risen(portal, before, "portal_statement_seconds_count", lane="people")
    assert ran >= 3


async def test_buckets_add_up_to_the_count(portal: Paying) -> None:
    await portal.ask(READ, portal.bearer)
    numbers = await scraped(portal)
    labels = {"route": "graphql", "outcome": "ok"}
    buckets = [
        value
        for (name, found), value in numbers.items()
        if name == "portal_request_seconds_bucket" and labels.items() <= dict(found).items()
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == number(numbers, "portal_request_seconds_count", **labels)
    assert number(numbers, "portal_request_seconds_sum", **labels) > 0


async def test_mutations_are_counted_by_their_result(portal: Paying) -> None:
    await portal.invoice(10_000)
    before, name = await scraped(portal), "portal_mutations_total"
    await portal.pay(10_000, portal.card(DECLINED))
    await portal.pay(9_999, portal.card())
    await portal.pay(10_000, portal.card())
    for result in ("CardDeclined", "AmountChanged", "PaySucceeded"):
        assert await risen(portal, before, name, field="pay", result=result) == 1


# -- what waits ------------------------------------------------------------------------------------


async def test_payments_that_are_not_final_have_a_number_and_an_age(portal: Paying) -> None:
    numbers = await scraped(portal)
    assert number(numbers, "portal_database_up") == 1
    assert ("portal_payments_waiting", frozenset({("state", "processing")})) in numbers
    await portal.invoice(10_000)
    await portal.pay(10_000, portal.card(ASKS))
    portal.clock.time += dt.timedelta(minutes=7)
    numbers = await scraped(portal)
    state = {"state": "requires_action"}
    assert number(numbers, "portal_payments_waiting", **state) == 1
    assert number(numbers, "portal_payments_waiting_age_seconds", **state) == 7 * 60


async def test_inbox_and_outbox(portal: Paying) -> None:
    received = portal.clock()
    row: dict[str, Any] = dict.fromkeys(column.name for column in StripeEvent.__table__.columns)
    row |= {"id": f"evt_{new_id()}", "type": "charge.updated", "received_at": received}
    await portal.insert(StripeEvent, row)
    portal.clock.time += dt.timedelta(seconds=90)
    numbers = await scraped(portal)
    assert number(numbers, "portal_webhook_inbox") == 1
    assert number(numbers, "portal_webhook_inbox_age_seconds") == 90
    assert number(numbers, "portal_mail_outbox") == 0


async def test_events_that_wait_for_endpoints(portal: Paying) -> None:
    own = {"practice_id": portal.practice_id, "after_version": 4, "after_position": 1}
    endpoint = DEFAULTS[EventEndpoint] | own
    await portal.insert(
        EventEndpoint,
        endpoint | {"id": new_id(), "status": EndpointStatus.ACTIVE},
        endpoint | {"id": new_id(), "status": EndpointStatus.PAUSED, "after_version": 5},
        endpoint | {"id": new_id(), "status": EndpointStatus.GONE},
    )
    occurred = portal.clock()
    event = DEFAULTS[OutboxEvent] | own | {"occurred_at": occurred}
    del event["after_version"], event["after_position"]
    places = [(4, 1), (4, 2), (5, 1), (5, 2)]
    rows = [event | {"version": version, "position": position} for version, position in places]
    await portal.insert(OutboxEvent, *rows)
    portal.clock.time += dt.timedelta(seconds=30)
    numbers = await scraped(portal)
    for state, count in (("active", 3), ("paused", 1)):
        assert number(numbers, "portal_webhook_outbox", state=state) == count
        assert number(numbers, "portal_webhook_outbox_age_seconds", state=state) == 30


async def test_audit_queue_is_empty_after_it_was_written(portal: Paying) -> None:
    await portal.ask(READ, portal.bearer)
    assert number(await scraped(portal), "portal_audit_queue") > 0
    await portal.read_audit.flush()
    assert number(await scraped(portal), "portal_audit_queue") == 0


async def test_page_without_a_database(portal: Paying, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_: Any) -> Any:
        raise DatabaseUnavailable("gone")

    monkeypatch.setattr(exposition, "waiting_rows", away)
    numbers = await scraped(portal)
    assert number(numbers, "portal_database_up") == 0
    assert not any(name.startswith("portal_payments_waiting") for name, _ in numbers)


# -- several processes -----------------------------------------------------------------------------


def ended_process() -> int:
    """Return the id of a process that has ended."""
    command = [sys.executable, "-c", "import os; print(os.getpid())"]
    return int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


async def test_numbers_of_all_processes_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts of a process that has ended are kept, and what it had in use is not."""
    ended, running, own = ended_process(), os.getppid(), os.getpid()
    key, gauge = ("people",), "portal_reads_running"
    STATEMENT_SECONDS.observe(0.25, *key)
    snapshots = SharedSnapshots(lambda: {gauge: {key: 2.0}}, tmp_path)
    alone = snapshots.total()[STATEMENT_SECONDS.name][key]
    for process in (ended, running):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        await snapshots.write()
    monkeypatch.setattr(os, "getpid", lambda: own)
    total = snapshots.total()
    assert total[gauge][key] == [4.0]
    assert total[STATEMENT_SECONDS.name][key] == pytest.approx([3 * one for one in alone])
    await snapshots.write()
    assert snapshots.total() == total


@pytest.mark.parametrize("processes", [1, 2])
def test_several_processes_get_a_folder_for_their_numbers(
    processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    with serve.shared_metrics(processes):
        folder = os.environ.get(FOLDER)
        assert (folder is not None) is (processes > 1)
        assert folder is None or Path(folder).stat().st_mode & 0o077 == 0
    assert folder is None or not Path(folder).exists()
