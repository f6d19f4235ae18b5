"""The settings of uvicorn, for all commands that serve."""

import multiprocessing
import os
import resource
import signal
import threading
from functools import partial
from typing import Any

from server.command_errors import CommandError
from server.http.connections import ConnectionLimits, Connections
from server.http.protocol import LimitedProtocol

# uvicorn kills a worker that gives no answer for so long. On a slow machine a worker may still be
# importing modules.
WORKER_ANSWERS_S = 60
# Half a year, without subdomains, which may belong to others.
HSTS = "max-age=15768000"
# The files that a process has open besides its clients' connections.
OTHER_FILES = 200


class TooFewFiles(CommandError):
    """The system allows a process fewer open files than its connections need."""


def uvicorn_options(
    limits: ConnectionLimits, public_url: str, shutdown_s: int | None = None
) -> dict[str, Any]:
    """Return the arguments of `uvicorn.run` and `uvicorn.Config`.

    `shutdown_s` is the time for running requests when the server ends.
    """
    return {
        "http": partial(LimitedProtocol, connections=Connections(limits)),
        "ws": "none",
        "timeout_keep_alive": limits.keep_alive_s,
        "timeout_graceful_shutdown": shutdown_s,
        "timeout_worker_healthcheck": WORKER_ANSWERS_S,
        # The application reads X-Forwarded-For itself: see server/http/proxies.py.
        "proxy_headers": False,
        "server_header": False,
        "headers": response_headers(public_url),
    }


def response_headers(public_url: str) -> list[tuple[str, str]]:
    """Return the headers of every response. HSTS requires a public address with TLS."""
    secure = [("Strict-Transport-Security", HSTS)] if public_url.startswith("https://") else []
    return [("X-Content-Type-Options", "nosniff"), *secure]


def allow_files(connections: int) -> None:
    """Raise the process's limit of open files as needed for its connections.

    A server that can't open another file can't accept a connection, and would retry in a busy loop.
    """
    needed = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise TooFewFiles(
            f"HTTP_CONNECTIONS: a process may open {hard} files here, and {connections} connections"
            f" need {needed}."
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def end_with_parent() -> None:
    """Have a worker end, as after SIGTERM, when its parent process is gone.

    A parent that was killed can't end its workers itself.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()
