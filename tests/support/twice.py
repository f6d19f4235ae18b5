"""Requests that are sent twice, so that the second answer may be one that the server has kept."""

import httpx

from tests.support.headers import compared_headers

# Operations whose answer may rightly differ the second time: changes, and the log that requests
# are written to themselves.
OTHERWISE = (b"mutation", b"accessLog")


class Twice(httpx.ASGITransport):
    """An application that is sent each GraphQL query twice, and has to answer both alike.

    So what a test asserts of the answer holds for both.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        first = await super().handle_async_request(request)
        body = await request.aread()
        if request.url.path != "/graphql" or any(one in body for one in OTHERWISE):
            return first
        second = await super().handle_async_request(request)
        one, other = await whole(first), await whole(second)
        assert one == other, f"{body!r} was answered otherwise the second time: {one} and {other}"
        return second


async def whole(response: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    await response.aread()
    return response.status_code, response.content, compared_headers(response)
