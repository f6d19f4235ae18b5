"""The double as an ASGI app, with or without the control addresses of tests."""

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route

from sandbox import controls as control
from sandbox import pages
from sandbox.api import Api
from sandbox.store import Store

METHODS = ["GET", "POST", "DELETE"]


def app(store: Store, api: Api | None = None, *, controls: bool = False) -> Starlette:
    """Return Stripe's API; with `controls`, also the addresses for pages and tests."""
    api = api or Api(store, keeps_answers=controls)
    # A route would take the object for an ASGI app, but it is a function of a request.
    routes: list[BaseRoute] = [Route("/v1/{path:path}", api.__call__, methods=METHODS)]
    if controls:
        routes += [Mount("/sandbox", routes=pages.routes(store)), *control.routes(store, api)]
    return Starlette(routes=routes)
