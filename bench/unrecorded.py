"""The portal without its audit log of reads, to measure the log's cost."""

from starlette.applications import Starlette

from server import app


def served() -> Starlette:
    """Return the application of `portal serve`, without audit entries of reads."""
    application = app.app_of_environment()
    application.state.service.read_audit = None
    return application
