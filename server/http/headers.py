"""Headers of a request, read without an object for them: a request reads several."""

from starlette.types import Scope


def request_header(scope: Scope, name: bytes) -> str | None:
    """Return the first header with this name, in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None
