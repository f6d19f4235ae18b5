"""The application: one database, one schema, and the addresses that it answers."""

import asyncio
import datetime as dt
import gc
import logging
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import cache, lru_cache, partial
from typing import Any

import strawberry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from billing.documents.printer import Printer
from billing.outbox.delivery import EventDelivery
from billing.payments.background import BackgroundJobs
from billing.payments.context import PaymentContext
from billing.payments.status import PaymentsMode
from billing.stripe import Stripe
from execution.authentication import Authenticator
from execution.garbage_collection import collect_rarely, pause
from execution.pipeline import GraphQLService
from execution.prepare_ahead import prepare_ahead
from execution.read_audit import ReadAuditLog
from execution.startup_check import check_schema
from graph.schema import schema, sdl
from identity.sign_in import background as signing_in
from identity.sign_in.context import SignInContext
from identity.sign_in.networks import network
from identity.sign_in.smtp import Post
from identity.token_keys import hashed
from identity.token_usage import TokenUsage
from models import database, migrations
from models.database import StatementTimeout, TransientError
from models.row_turns import Turns
from resolvers.document_files import PrintedDocuments
from server import logs, security_log
from server.background_writes import flush_regularly
from server.clock import utc_now
from server.document_manifest import trusted_documents
from server.http import graphiql, portal_page, probes
from server.http.client_record import ClientRecords
from server.http.deadline import Deadline, RunningRequests
from server.http.documents import Documents
from server.http.exports import Exports
from server.http.graphiql import PageConfig
from server.http.graphql import Endpoint
from server.http.graphql_address import GraphQLAddress
from server.http.ingest import Ingest
from server.http.observed_requests import ObservedRequests
from server.http.origins import Origins
from server.http.proxies import ForwardedAddress
from server.http.serving import end_with_parent
from server.http.webhook import WebhookEndpoint
from server.metrics.exposition import MetricsPage
from server.metrics.snapshot import SharedSnapshots, in_use
from server.sandbox import Sandbox
from server.settings import Settings, from_environment
from server.stripe_check import refuse_unsaid_sandbox
from server.stripe_client import WEBHOOK_PATH, online, stripe_client
from server.traces import traced

# Network addresses whose hashes are remembered, and the characters that one has at the most.
ADDRESSES, LONGEST_ADDRESS = 10_000, 64
# How long a thread that plans keeps the event loop waiting: Python's own 5 ms would be added to a
# request several times.
SWITCH_INTERVAL_S = 0.0002
log = logging.getLogger("portal")


def app(
    settings: Settings,
    *,
    page: PageConfig | None = None,
    local: bool = False,
    now: Callable[[], dt.datetime] = utc_now,
    stripe: Stripe | None = None,
    post: Post | None = None,
) -> Starlette:
    """Return the application of the portal's server.

    With `local`, it serves the portal page and the sandbox's page, to which mail is delivered, and
    answers pages of this machine on any port. `stripe` and `post` replace those of the settings.
    """
    url = settings.database_url
    connector = database.connector_of(url)
    reads = database.lanes(url, settings.read_limits, connector, settings.replica_url)
    graphql_schema = checked_schema(lateral=reads.dialect.name == "postgresql")
    is_sandbox = stripe is None and settings.mode is PaymentsMode.SANDBOX
    # The demo's mail is kept in its file too, wherever payments go.
    sandbox = Sandbox(settings.sandbox_file) if is_sandbox or local else None
    if stripe is None:
        stripe = sandbox.stripe() if sandbox and is_sandbox else stripe_client(settings)
    waits = settings.waits
    payment_context = PaymentContext(
        database.engine(url, waits, connector, confined=True),
        stripe,
        now,
        turns=Turns(waits.lock_s),
    )
    # Background work is of every practice. It has connections of its own, so that neither it nor
    # the requests starve the other.
    background_waits = waits.of_background
    background_context = replace(
        payment_context,
        engine=database.engine(url, background_waits, connector),
        turns=payment_context.turns.within(background_waits.lock_s),
    )
    keys = settings.token_keys
    token_usage = TokenUsage(background_context.engine)
    authenticator = Authenticator(reads, keys, token_usage)
    mailed_to_page = sandbox.post() if sandbox and local else None
    mail = post or settings.post or mailed_to_page
    sign_in_context = SignInContext(payment_context.engine, keys, now, mail, settings.sign_in_lasts)
    # SQLite has one writer: changes and the log queue for it, so that neither starves the other.
    is_sqlite = payment_context.engine.dialect.name == "sqlite"
    read_audit = ReadAuditLog(
        payment_context.engine if is_sqlite else background_context.engine, waits.lock_s
    )
    service = GraphQLService(
        graphql_schema,
        reads,
        settings.introspection,
        settings.signer,
        payment_context=payment_context,
        online=online(settings),
        sign_in=(sign_in_context, authenticator.viewer, authenticator.by_token_id),
        read_audit=read_audit,
        answer_cache_bytes=settings.answer_cache_mb * 2**20,
    )
    has_page = local or settings.portal_page
    trusted = trusted_documents(settings, has_page=has_page)
    endpoint = Endpoint(service, authenticator, now, address_hash(keys.newest), trusted)
    printer = Printer(payment_context.engine, now, settings.font_paths, settings.field_keys)
    documents = Documents(
        settings.signer,
        authenticator,
        PrintedDocuments(reads),
        printer,
        read_audit,
        endpoint.address,
        now,
    )
    exports = Exports(endpoint)
    records = ClientRecords(exports, documents, cache(partial(sdl, graphql_schema)))
    background_jobs = BackgroundJobs(background_context)
    deliveries = EventDelivery(
        background_context.engine, now, settings.field_keys, settings.address_rules
    )

    def gauges() -> Mapping[str, Mapping[tuple[str, ...], float]]:
        pools = {"requests": payment_context.engine, "background": background_context.engine}
        lanes = {(str(lane.name),): lane for lane in reads.lanes}
        return {
            "portal_reads_running": {key: lane.size - lane.free for key, lane in lanes.items()},
            "portal_reads_waiting": {key: lane.waiting for key, lane in lanes.items()},
            "portal_write_connections": {(name,): in_use(engine) for name, engine in pools.items()},
            "portal_audit_queue": {(): read_audit.unwritten},
        }

    snapshots = SharedSnapshots.of_environment(gauges)
    metrics = (
        MetricsPage(
            settings.metrics_token.get_secret_value(), background_context.engine, snapshots, now
        )
        if settings.metrics_token
        else None
    )
    webhook_endpoint = WebhookEndpoint(payment_context, background_jobs.wake, endpoint.large_bodies)
    webhook = Route(WEBHOOK_PATH, webhook_endpoint.answer, methods=["POST"])

    requests = RunningRequests()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as running:
            running.enter_context(traced())
            # Pushed first, so closed last, and each of them whatever the others end in.
            running.push_async_callback(payment_context.engine.dispose)
            running.push_async_callback(background_context.engine.dispose)
            running.push_async_callback(stripe.close)
            running.push_async_callback(reads.close)
            running.callback(printer.close)
            await running.enter_async_context(database.watch_database(connector))
            await running.enter_async_context(reads.watched())
            if sandbox is not None:
                running.callback(sandbox.store.close)
            await running.enter_async_context(flush_regularly(token_usage.flush))
            await running.enter_async_context(flush_regularly(snapshots.write))
            await running.enter_async_context(read_audit.running())
            await running.enter_async_context(background_jobs.running())
            await running.enter_async_context(deliveries.running())
            mail_delivery = signing_in.running(
                replace(sign_in_context, engine=background_context.engine)
            )
            await running.enter_async_context(mail_delivery)
            if sandbox and is_sandbox:
                await running.enter_async_context(sandbox.delivering(webhook))
            running.push_async_callback(requests.ended)
            # The demo starts at once instead.
            if not local:
                await asyncio.to_thread(prepare_ahead, service, trusted)
            yield

    graphiql_page = None if trusted.only else page or PageConfig()
    application = Starlette(
        routes=[
            documents.addresses(),
            *exports.addresses(),
            records.address(),
            Ingest(endpoint, url, now).address(),
            *probes.addresses(connector, background_context.engine),
            *([metrics.address()] if metrics else []),
            webhook,
            graphiql.assets(),
            *(folder(sandbox.addresses(pays=is_sandbox, local=local)) if sandbox else []),
            *(folder(portal_page.mounted(settings.mode)) if has_page else []),
        ],
        middleware=[
            *middleware(settings, requests, local=local),
            Middleware(GraphQLAddress, endpoint=endpoint, page=graphiql_page),
        ],
        lifespan=lifespan,
    )
    # Starlette would redirect to whatever host the request names.
    application.router.redirect_slashes = False
    state = application.state
    state.reads, state.service, state.endpoint = reads, service, endpoint
    state.payment_context, state.background_context = payment_context, background_context
    state.sign_in_context, state.sandbox = sign_in_context, sandbox
    state.token_usage, state.read_audit = token_usage, read_audit
    return application


def address_hash(key: str) -> Callable[[str], str]:
    """Return a function that hashes the network of a host, so that networks can be told apart.

    A proxy may name a longer text than an address; the rest is ignored.
    """
    remembered = lru_cache(ADDRESSES)(lambda host: hashed(network(host), key))
    return lambda host: remembered(host[:LONGEST_ADDRESS])


@cache
def checked_schema(*, lateral: bool) -> strawberry.Schema:
    """Return the schema after each of its fields was planned once. The applications of a process
    share it.
    """
    graphql_schema = schema()
    with pause.held():
        check_schema(graphql_schema, lateral=lateral)
    return graphql_schema


def middleware(settings: Settings, requests: RunningRequests, *, local: bool) -> list[Middleware]:
    origins = partial(Origins, allowed=settings.allowed_origins, local=local)
    hosts, seconds = settings.allowed_hosts, settings.request_timeout_s
    return [
        Middleware(ObservedRequests, proxies=settings.proxies),
        Middleware(ForwardedAddress, proxies=settings.proxies),
        Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
        Middleware(origins),
        Middleware(Deadline, seconds=seconds, running=requests),
    ]


def folder(mount: Mount) -> list[BaseRoute]:
    """Return the routes of a folder. Its bare name leads to its page, on the same host."""

    async def to_page(_: Request) -> Response:
        return RedirectResponse(f"{mount.path}/")

    return [Route(mount.path, to_page), mount]


def log_in_one_line(record: logging.LogRecord) -> bool:
    """Log an answer that was broken off for a passing reason in one line.

    uvicorn logs whatever ends an application, with a traceback.
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, TransientError | StatementTimeout | asyncio.CancelledError):
        reason = str(error) or type(error).__name__
        record.msg, record.args = "an answer was broken off: %s", (reason,)
        record.exc_info = record.exc_text = None
    return True


def refuse_other_revision(application: Starlette) -> None:
    """Have the application end at its start if the tables are not those of this release.

    A new process replaces an old one only after its start. So where a release was installed before
    its `portal migrate`, the old processes go on.
    """
    lifespan = application.router.lifespan_context
    engine = application.state.background_context.engine

    @asynccontextmanager
    async def checked(served: Starlette) -> AsyncIterator[Any]:
        if fault := migrations.revision_fault(await migrations.current_revision(engine)):
            raise migrations.UnknownRevision(fault)
        async with lifespan(served) as state:
            yield state

    application.router.lifespan_context = checked


def app_of_environment() -> Starlette:
    """Return the application of one process of `portal serve`."""
    end_with_parent()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    settings = from_environment()
    refuse_unsaid_sandbox(settings)
    logs.configure(settings.log_format, requests=settings.request_log)
    security_log.configure(settings.security_log)
    application = app(settings)
    refuse_other_revision(application)
    logging.getLogger("uvicorn.error").addFilter(log_in_one_line)
    # Objects from the start are never garbage, and examining them holds the event loop.
    gc.collect()
    gc.freeze()
    collect_rarely()
    return application
