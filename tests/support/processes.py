"""Processes of their own: the double of Stripe, and portals that use it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from tests.support.demo_server import PROJECT, Run, free_port
from tests.support.portal import KEY

SECRET = "whsec_test"
STARTS_WITHIN_S = 60


@contextmanager
def double(folder: Path, webhook: str | None = None) -> Iterator[str]:
    """Run the double of Stripe in a process, and yield its address."""
    command = [sys.executable, "-m", "sandbox", "--file", str(folder / "stripe.sqlite")]
    command += ["--secret", SECRET, *(["--webhook", webhook] if webhook else [])]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
        finally:
            process.terminate()


@contextmanager
def portals(
    run: Run, database_url: str, stripe: str, folder: Path, count: int, **more: str
) -> Iterator[list[str]]:
    """Run this many portals over one database, each in a process; yield their addresses.

    `more` are environment variables.
    """
    ports = [free_port() for _ in range(count)]
    with ExitStack() as running:
        for port in ports:
            running.enter_context(portal(run, database_url, stripe, folder, port, **more))
        addresses = [f"http://127.0.0.1:{port}" for port in ports]
        for address in addresses:
            wait_for(address)
        yield addresses


@contextmanager
def portal(
    run: Run, database_url: str, stripe: str, folder: Path, port: int, **more: str
) -> Iterator[None]:
    environment = {
        "DATABASE_URL": database_url,
        "TOKEN_KEY": KEY,
        "STRIPE_API_KEY": "sk_test_double",
        "STRIPE_PUBLISHABLE_KEY": "pk_test_double",
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "STRIPE_API_BASE": stripe,
        **more,
    }
    told = folder / f"portal-{port}.txt"
    with run(["serve", "--port", str(port)], folder, told, environment) as is_running:
        yield
        if not is_running():
            raise AssertionError(f"the portal ended unexpectedly: {told.read_text()}")


def wait_for(address: str) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until:
        try:
            if httpx.get(f"{address}/readyz").is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError(f"{address} did not start")
