"""The API, /v1/…: keys, versions, parameters, idempotency, and faults on demand."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from starlette.requests import Request
from starlette.responses import Response

from sandbox import access, calls, expansion, idempotency, parameters
from sandbox.calls import Call
from sandbox.errors import StripeError, invalid
from sandbox.expansion import expanded
from sandbox.faults import CLOSE, TOO_MANY, Dropped, Fault, drop, next_fault
from sandbox.forms import parse_form
from sandbox.store import OWN, Object, Store, public_view
from sandbox.version import VERSION

__all__ = ["Api", "Fault"]

Answer = tuple[int, str]
# The locks by account and id, which exist while a call holds them.
Locks = WeakValueDictionary[tuple[str, str], asyncio.Lock]
NO_FAULT = Fault("^$")
# The placeholder for the response of a call that hasn't begun.
NOTHING: Answer = (0, "")


@dataclass
class ApiRequest:
    """A parsed request."""

    account: str
    method: str
    path: str
    body: str
    params: Object
    key: str | None
    version: str | None

    @property
    def called(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Api:
    """Stripe's API over a store.

    `latency_s` is the duration of each call. `lock_wait_s` is the time that a call waits for
    another call on the same object. With `keeps_answers` the journal stores responses too, for
    tests.
    """

    store: Store
    latency_s: float = 0.0
    faults: list[Fault] = field(default_factory=list)
    lock_wait_s: float = 2.0
    keeps_answers: bool = True
    running: set[tuple[str, str]] = field(default_factory=set)
    locks: Locks = field(default_factory=WeakValueDictionary)

    async def __call__(self, request: Request) -> Response:
        api_request = await parse_request(request)
        fault = next_fault(self.faults, api_request.called) or NO_FAULT
        try:
            status, text = await self.answered(request, api_request, fault)
            await go_wrong(request, fault, after=True)
        except StripeError as error:
            status, text = error.status, json.dumps({"error": error.error})
            with self.store.transaction():
                self.write_down(api_request, status, text)
        except Dropped:
            if CLOSE not in request.scope:
                raise
            return Response()
        headers = {"Request-Id": f"req_{secrets.token_hex(7)}", "Stripe-Version": VERSION}
        if api_request.key:
            headers["Idempotency-Key"] = api_request.key
        return Response(text, status, headers, "application/json")

    async def answered(self, request: Request, api_request: ApiRequest, fault: Fault) -> Answer:
        """Check a request as Stripe does before any work, then do the call with its faults."""
        key = access.check_key(self.store, request.headers.get("authorization", ""))
        access.check_account(self.store, key, api_request.account)
        check_version(api_request.version)
        call, ids = calls.find_call(api_request.method, api_request.path)
        access.check_permission(self.store, key, api_request.account, call.permission)
        idempotency.check_key_length(api_request.key)
        async with AsyncExitStack() as held:
            await held.enter_async_context(self.only_one(api_request))
            if api_request.method == "POST" and ids:
                await held.enter_async_context(self.locked(api_request.account, ids[0]))
            await asyncio.sleep(self.latency_s)
            await go_wrong(request, fault, after=False)
            answer = self.once(api_request, call, ids, fault)
            return self.once(api_request, call, ids, NO_FAULT) if fault.twice else answer

    # -- locks -------------------------------------------------------------------------------------

    @asynccontextmanager
    async def only_one(self, request: ApiRequest) -> AsyncIterator[None]:
        """Hold an idempotency key. Raise 409 if another call holds it."""
        own = request.account, request.key or ""
        if request.key and own in self.running:
            raise idempotency.in_use(request.key)
        if request.key:
            self.running.add(own)
        try:
            yield
        finally:
            if request.key:
                self.running.discard(own)

    @asynccontextmanager
    async def locked(self, account: str, id_: str) -> AsyncIterator[None]:
        """Hold an object. Raise 429 if another call holds it for too long."""
        lock = self.locks.setdefault((account, id_), asyncio.Lock())
        try:
            async with asyncio.timeout(self.lock_wait_s):
                await lock.acquire()
        except TimeoutError:
            code = "lock_timeout"
            raise StripeError(429, "invalid_request_error", TOO_MANY[code], code=code) from None
        try:
            yield
        finally:
            lock.release()

    # -- the work ----------------------------------------------------------------------------------

    def once(self, request: ApiRequest, call: Call, ids: tuple[str, ...], fault: Fault) -> Answer:
        """Return the response, or the stored one if the key has one."""
        wrong = fault.error()
        with self.store.transaction():
            fingerprint = idempotency.call_hash(request.called, request.body)
            answer = idempotency.saved(self.store, request.account, request.key, fingerprint)
            is_new = answer is None
            if answer is None:
                answer = self.first(request, call, ids, has_begun=wrong is None or fault.after)
            if wrong is not None:
                answer = wrong.status, json.dumps({"error": wrong.error})
            if is_new and request.key and (wrong is None or fault.is_saved()):
                status, text = answer
                self.store.keep_answer(request.account, request.key, fingerprint, status, text)
            self.write_down(request, *answer)
        return answer

    def first(
        self, request: ApiRequest, call: Call, ids: tuple[str, ...], *, has_begun: bool
    ) -> Answer:
        """Read the parameters, and do the call if its work begins at all."""
        given = parameters.read_parameters(call.parameters, request.params)
        paths = given.pop("expand", [])
        expansion.check_paths(call.resource, is_list=call.is_list, paths=paths)
        return self.done(request, call, ids, given, paths) if has_begun else NOTHING

    def done(
        self, request: ApiRequest, call: Call, ids: tuple[str, ...], given: Object, paths: list[str]
    ) -> Answer:
        """Do the call. Its changes stay, even if the bank declines."""
        try:
            answer = public_view(call.run(self.store, request.account, *ids, given))
            return 200, json.dumps(expanded(self.store, request.account, answer, paths))
        except StripeError as error:
            return error.status, json.dumps({"error": error.error})

    def write_down(self, request: ApiRequest, status: int, text: str) -> None:
        """Add a call to the journal, within a transaction."""
        self.store.write_down(
            {
                "account": request.account,
                "method": request.method,
                "path": request.path,
                "key": request.key,
                "params": request.params,
                "version": request.version,
                "status": status,
                "answer": text if self.keeps_answers else "null",
            }
        )


async def go_wrong(request: Request, fault: Fault, *, after: bool) -> None:
    """Wait, and drop the connection, if the fault requires it before or after the work."""
    if fault.after == after:
        await asyncio.sleep(fault.delay_s)
        if fault.drop:
            await drop(request)


async def parse_request(request: Request) -> ApiRequest:
    body = (await request.body()).decode()
    form = body if request.method == "POST" else request.url.query
    headers: Any = request.headers
    return ApiRequest(
        account=headers.get("stripe-account", OWN),
        method=request.method,
        path=request.path_params["path"],
        body=body,
        params=parse_form(form),
        key=headers.get("idempotency-key") if request.method == "POST" else None,
        version=headers.get("stripe-version"),
    )


def check_version(version: str | None) -> None:
    """Refuse a call of another version of the API; the double supports one version."""
    if version != VERSION:
        raise invalid(f"Invalid Stripe API version: {version}. The sandbox speaks {VERSION}.")
