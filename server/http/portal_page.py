"""The portal page of `web/portal/` at /portal: unmodified files, under a strict policy."""

import os
from collections.abc import Mapping
from types import MappingProxyType

from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from billing.payments.status import PaymentsMode
from server.web_files import PORTAL_PAGE

# The page may only load its own files and request the API.
POLICY: Mapping[str, str] = MappingProxyType(
    {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
)
# Additional sources for Stripe.js and the Payment Element, by
# https://docs.stripe.com/security/guide under "Content Security Policy". The hosts for Link,
# Checkout and the Address Element are left out, since the page uses none of them.
STRIPE_POLICY: Mapping[str, str] = MappingProxyType(
    {
        "script-src": "'self' https://js.stripe.com https://*.js.stripe.com",
        "frame-src": "https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com",
        "connect-src": "'self' https://api.stripe.com",
    }
)
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        # Revalidated with each request, and sent again only after a change.
        "Cache-Control": "no-cache",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)
# Stripe's frames get the page's origin, and no more of its address. A bank's page may open a window
# that keeps its opener.
STRIPE_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Referrer-Policy": "strict-origin",
        "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
    }
)


def page_headers(mode: PaymentsMode) -> dict[str, str]:
    """Return the page's headers. Stripe's hosts are only allowed if payments go to Stripe."""
    is_at_stripe = mode in (PaymentsMode.TEST, PaymentsMode.LIVE)
    policy = {**POLICY, **(STRIPE_POLICY if is_at_stripe else {})}
    written = "; ".join(f"{directive} {sources}" for directive, sources in policy.items())
    more = STRIPE_HEADERS if is_at_stripe else {}
    return {"Content-Security-Policy": written, **HEADERS, **more}


class Files(StaticFiles):
    """The page's files, each with its headers."""

    def __init__(self, mode: PaymentsMode) -> None:
        super().__init__(directory=PORTAL_PAGE, html=True)
        self.headers = page_headers(mode)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(self.headers)
        return response


def mounted(mode: PaymentsMode) -> Mount:
    return Mount("/portal", Files(mode))
