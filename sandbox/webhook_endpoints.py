"""Webhook endpoints: kept and listed. The double's deliveries go where its process was told to."""

import secrets

from sandbox import objects
from sandbox.access import APPLICATION
from sandbox.store import Object, Store


def create_webhook_endpoint(store: Store, account: str, params: Object) -> Object:
    """Create an endpoint. Only this response has its secret."""
    made = store.new(
        account,
        "webhook_endpoint",
        "we",
        **objects.webhook_endpoint(
            url=params["url"],
            enabled_events=params["enabled_events"],
            application=APPLICATION if params.get("connect") else None,
            metadata=params.get("metadata", {}),
        ),
    )
    return made | {"secret": f"whsec_{secrets.token_hex(16)}"}
