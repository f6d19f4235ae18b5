"""The portal without its record of access, to measure what the record takes."""

from starlette.applications import Starlette

from server import app


def served() -> Starlette:
    """As `portal serve` has it, but nobody notes who looked."""
    application = app.served()
    application.state.graph.record = None
    return application
