"""Django with the view of strawberry-django, served by waitress: ten threads in one process, each
with a connection that stays open. `python -m bench.peers.python.django_app.server PORT`.
"""

import os
import sys
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import django
import orjson
import waitress
from django.conf import settings

from bench.peers.python.viewers import CONNECTIONS, LOOK_UP, SETTINGS, Viewer, token_hash

UNAUTHENTICATED = 401
KEY = os.environ["TOKEN_KEY"]
TOKEN = LOOK_UP.format(hash="%s")


def database(url: str) -> dict[str, Any]:
    """Return Django's settings of the database at a URL."""
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [parts.hostname or ""])[0]
    options = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.removeprefix("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": parts.port or "",
        "CONN_MAX_AGE": None,
        # Statements are prepared once a connection, from their second use on.
        "OPTIONS": {"options": options, "server_side_binding": True, "prepare_threshold": 1},
    }


settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": database(os.environ["DATABASE_URL"])},
    INSTALLED_APPS=["strawberry_django", "bench.peers.python.django_app"],
    # Adds the length, without which waitress closes the connection.
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
)
django.setup()

# Models need the settings above.
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from strawberry.django.views import GraphQLView  # noqa: E402

from bench.peers.python.django_app.schema import schema  # noqa: E402


class View(GraphQLView):
    """View that looks up the token before anything else."""

    def dispatch(self, request: HttpRequest, *args: Any, **more: Any) -> HttpResponse:
        request.viewer = viewer(request)
        if request.viewer is None:
            return HttpResponse(status=UNAUTHENTICATED)
        return super().dispatch(request, *args, **more)

    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data)


def viewer(request: HttpRequest) -> Viewer | None:
    known = token_hash(request.headers.get("authorization", ""), KEY)
    if known is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(TOKEN, [known])
        row = cursor.fetchone()
    return Viewer.of_row(*row) if row else None


urlpatterns = [path("graphql", View.as_view(schema=schema, graphql_ide=None))]

if __name__ == "__main__":
    waitress.serve(
        get_wsgi_application(), host="127.0.0.1", port=int(sys.argv[-1]), threads=CONNECTIONS
    )
