"""The double as an ASGI app, and what tests ask of it beside Stripe's own calls."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from sandbox import pages
from sandbox.api import Api, Fault
from sandbox.store import Store

METHODS = ["GET", "POST", "DELETE"]


def app(store: Store, api: Api | None = None, *, controls: bool = False) -> Starlette:
    """Stripe's API; with `controls`, the addresses of pages and tests too."""
    api = api or Api(store)
    # A route's object would be taken for an ASGI app, and this is a function of a request.
    routes: list[BaseRoute] = [Route("/v1/{path:path}", api.__call__, methods=METHODS)]
    if controls:
        routes += [Mount("/sandbox", routes=pages.routes(store)), *control(store, api)]
    return Starlette(routes=routes)


def control(store: Store, api: Api) -> list[Route]:
    async def state(_: Request) -> Response:
        """All that tests judge by."""
        kinds = ("charge", "payment_intent", "event", "customer", "payment_method")
        found = {kind: store.all(kind) for kind in kinds}
        return JSONResponse(found | {"journal": store.journal()})

    async def faults(request: Request) -> Response:
        asked = await request.json()
        api.latency_s = asked.get("latency_s", api.latency_s)
        api.faults[:] = [Fault(**fault) for fault in asked.get("faults", [])]
        return JSONResponse({})

    return [Route("/controls/state", state), Route("/controls/faults", faults, methods=["POST"])]
