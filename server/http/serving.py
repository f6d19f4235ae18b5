"""The settings of uvicorn, for each way in which the portal is served."""

import multiprocessing
import os
import resource
import signal
import threading
from functools import partial
from typing import Any

from server.http.connections import Connections, Limits
from server.http.protocol import LimitedProtocol

# uvicorn kills a worker that does not answer for so long; on a slow machine it is still importing.
WORKER_ANSWERS_S = 60
# Half a year. Subdomains are not ours to speak for.
HSTS = "max-age=15768000"
# Files that a process has open besides its clients' connections.
OTHER_FILES = 200


class TooFewFiles(Exception):
    """The system lets a process open fewer files than it would have connections."""


def options(limits: Limits, public_url: str, shutdown_s: int | None = None) -> dict[str, Any]:
    """Return the arguments of `uvicorn.run` and `uvicorn.Config`.

    `shutdown_s`: so long answers may take that are being made when the server is to end.
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
        "headers": headers(public_url),
    }


def headers(public_url: str) -> list[tuple[str, str]]:
    """Return the headers of every answer. Only a server that browsers reach by TLS asks for it."""
    secure = [("Strict-Transport-Security", HSTS)] if public_url.startswith("https://") else []
    return [("X-Content-Type-Options", "nosniff"), *secure]


def allow_files(connections: int) -> None:
    """Raise the process's limit of open files to what its connections need.

    A server that can't open another file can't accept a connection, and tries again all the time.
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
    """Have a worker end, as by SIGTERM, when the process that started it is gone.

    That process was killed: it would else have ended its workers itself.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()
