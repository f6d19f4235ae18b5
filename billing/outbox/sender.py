"""The sending of a message: one POST to a checked address, within a deadline."""

import asyncio
import datetime as dt
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache

import httpx

from billing.outbox.addresses import Address, AddressRules, UnacceptedUrl, UnreachableName

# The time for one request, with the name and the connection, until the answer's status.
REQUEST_S = 10.0
# The time and the bytes for the rest of an answer after its status.
REST_S, MOST_READ = 1.0, 4_096
# The addresses of a name that are tried.
MOST_ADDRESSES = 3
GONE = 410
# The characters of a time in HTTP, and some more.
LONGEST_RETRY_AFTER = 40


@dataclass(frozen=True)
class ReceiverAnswer:
    """The answer to a message. `failure` is the reason in our own words, if it is a failure.

    `retry_after` is the receiver's own text: seconds or a time.
    """

    status: int | None = None
    failure: str | None = None
    retry_after: str = ""

    def asked_pause_s(self, now: dt.datetime) -> float:
        """Return the seconds for which a receiver asks to be left alone; 0 without such a text."""
        text = self.retry_after.strip()
        if len(text) > LONGEST_RETRY_AFTER:
            return 0.0
        if text.isascii() and text.isdigit():
            return float(text)
        try:
            until = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            return 0.0
        # A time without a zone is in UTC, as all times of HTTP are.
        until = until if until.tzinfo else until.replace(tzinfo=dt.UTC)
        return max(0.0, (until - now).total_seconds())


@cache
def tls_context() -> ssl.SSLContext:
    """Return the context of all connections, since reading the certificates takes time."""
    return httpx.create_ssl_context()


class Sender:
    """The connection to one endpoint, for several messages one after another."""

    def __init__(self, rules: AddressRules, url: str) -> None:
        self.rules, self.url = rules, url
        self.client = httpx.AsyncClient(
            verify=tls_context(), trust_env=False, follow_redirects=False, timeout=REQUEST_S
        )
        self.address: Address | None = None

    async def __aenter__(self) -> "Sender":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def send(self, body: bytes, headers: Mapping[str, str]) -> ReceiverAnswer:
        """Send a message, and return the answer. Only the status and Retry-After matter."""
        try:
            async with asyncio.timeout(REQUEST_S):
                response = await self.post(body, headers)
        except (UnacceptedUrl, UnreachableName) as error:
            return ReceiverAnswer(failure=str(error))
        except (TimeoutError, httpx.TimeoutException):
            return ReceiverAnswer(failure=f"no answer within {REQUEST_S:.0f} seconds")
        except httpx.ConnectError:
            return ReceiverAnswer(failure="no connection")
        except (httpx.HTTPError, OSError):
            return ReceiverAnswer(failure="the connection was broken off")
        await read_rest(response)
        status = response.status_code
        if 200 <= status < 300:
            return ReceiverAnswer(status)
        retry_after = response.headers.get("retry-after", "")
        return ReceiverAnswer(status, f"status {status}", retry_after)

    async def post(self, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        """Post to an address of the URL's host, the one of the last message if there was one."""
        url = self.rules.parse(self.url)
        if self.address is not None:
            return await self.post_to(self.address, url, body, headers)
        addresses = (await self.rules.resolve(url))[:MOST_ADDRESSES]
        for address in addresses[:-1]:
            with suppress(httpx.ConnectError):
                return await self.post_to(address, url, body, headers)
        return await self.post_to(addresses[-1], url, body, headers)

    async def post_to(
        self, address: Address, url: httpx.URL, body: bytes, headers: Mapping[str, str]
    ) -> httpx.Response:
        """Post to an address. The certificate has to be that of the URL's host."""
        host = url.raw_host.decode("ascii")
        request = self.client.build_request(
            "POST",
            url.copy_with(host=str(address)),
            content=body,
            headers={**headers, "host": url.netloc.decode("ascii"), "user-agent": "portal"},
            extensions={"sni_hostname": host},
        )
        response = await self.client.send(request, stream=True)
        self.address = address
        return response


async def read_rest(response: httpx.Response) -> None:
    """Read the rest of an answer, so that the connection can be used again.

    The status has come, so an answer that is long, slow or broken off is left.
    """
    read = 0
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(REST_S):
            async for part in response.aiter_raw():
                read += len(part)
                if read > MOST_READ:
                    break
    with suppress(httpx.HTTPError):
        await response.aclose()
