"""The addresses that events may be sent to, and the connections to them."""

import datetime as dt
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from billing.outbox import endpoints, sender
from billing.outbox.addresses import AddressRules, UnacceptedUrl
from tests.support.event_receiver import Received, receiving, status
from tests.support.tls_postgres import Authority
from tests.support.webhooks import HookDesk
from tests.webhooks.delivering import deliver_all, enter_some

PUBLIC = AddressRules()


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/", "ftp://example.com", "https://", "https:///x", "example.com", ""),
        *("https://user@example.com/", "https://u:p@example.com/", "https://example.com/#x"),
        *("https://127.0.0.1/", "https://10.1.2.3/", "https://169.254.169.254/latest/"),
        *("https://192.168.1.1/", "https://172.16.0.1/", "https://0.0.0.0/", "https://224.0.0.1/"),
        *("https://[::1]/", "https://[fe80::1]/", "https://[fd00:ec2::254]/", "https://[::]/"),
        *("https://[::ffff:127.0.0.1]/", "https://[64:ff9b::10.0.0.1]/", "https://100.64.0.1/"),
        *("https://[2002:7f00:1::]/", "https://exa mple.com/", f"https://example.com/{'x' * 2000}"),
    ],
)
def test_url_that_is_not_public_is_refused(url: str) -> None:
    with pytest.raises(UnacceptedUrl):
        PUBLIC.parse(url)


@pytest.mark.parametrize(
    "url", ["https://example.com/a?b=c", "https://8.8.8.8:8443/", "https://exämple.com"]
)
def test_public_url_is_accepted(url: str) -> None:
    assert PUBLIC.parse(url).scheme == "https"


@pytest.mark.twins(4)
async def test_name_with_a_private_address_gets_no_connection(
    hooks: HookDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = "127.0.0.1", "10.0.0.8", "169.254.169.254", "::1", "::ffff:10.0.0.8", "fe80::1%lo"
    asked = name(monkeypatch, *private)
    hooks.rules = AddressRules(allows_http=True)
    async with receiving() as receiver:
        endpoint = await hooks.add(receiver, url=f"http://hooks.example.com:{receiver.port}/")
        await enter_some(hooks, 1)
        for failures in range(1, len(private) + 1):
            await hooks.worker().give_turns()
            found = await hooks.endpoint(endpoint.id)
            assert (found.failures, found.last_error) == (failures, "its address is not public")
            hooks.later += dt.timedelta(hours=1)
    assert (len(asked), receiver.connections) == (len(private), 0)


@pytest.mark.twins(4)
async def test_connection_is_made_to_the_address_that_was_checked(
    hooks: HookDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that resolves to another address the second time is resolved once."""
    asked = name(monkeypatch, "127.0.0.1", "127.0.0.2")
    async with receiving() as receiver:
        url = f"http://hooks.example.com:{receiver.port}/events"
        endpoint = await hooks.add(receiver, url=url)
        await enter_some(hooks, 3)
        await deliver_all(hooks, endpoint)
    assert asked == ["hooks.example.com"]
    assert len(receiver.received) == 3
    assert receiver.received[0].headers["host"] == f"hooks.example.com:{receiver.port}"


@pytest.mark.twins(4)
async def test_certificate_has_to_be_that_of_the_name_in_the_url(
    hooks: HookDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the connection is made to an address."""
    authority, trusted = Authority("Portal"), tmp_path / "ca.crt"
    authority.write(trusted)
    context = ssl.create_default_context(cafile=trusted)
    monkeypatch.setattr(sender, "tls_context", lambda: context)
    name(monkeypatch, "127.0.0.1")
    for host, failure in (("hooks.example.com", None), ("other.example.com", "no connection")):
        files = tmp_path / f"{host}.crt", tmp_path / f"{host}.key"
        authority.issue(host, *files)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(*files)
        async with receiving(tls=server) as receiver:
            url = f"https://hooks.example.com:{receiver.port}/events"
            endpoint = await hooks.add(receiver, url=url)
            await enter_some(hooks, 1)
            await hooks.worker().give_turns()
        assert (await hooks.endpoint(endpoint.id)).last_error == failure
        assert len(receiver.received) == (failure is None)
        async with hooks.desk.engine.begin() as conn:
            await endpoints.remove_endpoint(conn, endpoint)


def name(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Make names resolve to these addresses in turn; return the names that were looked up."""
    asked = list[str]()
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *given: Any, **named: Any) -> Any:
        if host != "hooks.example.com":
            return real(host, port, *given, **named)
        address = addresses[min(len(asked), len(addresses) - 1)]
        asked.append(host)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


@pytest.mark.twins(4)
async def test_redirect_is_not_followed(hooks: HookDesk) -> None:
    async with receiving() as elsewhere:

        async def redirect(_: Received) -> bytes:
            return status(307, f"location: {elsewhere.url}")

        async with receiving(redirect) as receiver:
            endpoint = await hooks.add(receiver)
            await enter_some(hooks, 1)
            await hooks.worker().give_turns()
    assert (await hooks.endpoint(endpoint.id)).last_error == "status 307"
    assert (len(receiver.received), elsewhere.connections) == (1, 0)


@pytest.mark.twins(4)
async def test_answer_that_is_not_one_is_a_failure(
    hooks: HookDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "REQUEST_S", 0.2)
    answers = (
        b"\x00\xff" * 50,
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    )

    async def garble(_: Received) -> bytes:
        return answers[len(receiver.received) - 1]

    async with receiving(garble) as receiver:
        endpoint = await hooks.add(receiver)
        await enter_some(hooks, 1)
        for failures in range(1, len(answers) + 1):
            await hooks.worker().give_turns()
            found = await hooks.endpoint(endpoint.id)
            assert (found.failures, len(receiver.received)) == (failures, failures), found
            hooks.later += dt.timedelta(hours=1)
