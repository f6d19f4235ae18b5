"""The headers of responses that are compared."""

import httpx

REQUEST_ID = "x-request-id"


def compared_headers(response: httpx.Response) -> dict[str, str]:
    """Return the headers of a response without the request's id, which is another one each time."""
    return {name: value for name, value in response.headers.items() if name != REQUEST_ID}
