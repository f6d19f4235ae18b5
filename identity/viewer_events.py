"""The properties of a viewer that security events report."""

from billing.security_events import OF_VIEWER
from identity.viewer import Viewer


def viewer_event_fields(viewer: Viewer | None, address_hash: str | None) -> dict[str, str | None]:
    """Return the properties of a viewer for a security event. The viewer may be None."""
    if viewer is None:
        return {"address": address_hash}
    values = viewer.practice_id, viewer.token_id, viewer.kind.value, address_hash
    return dict(zip(OF_VIEWER, values, strict=True))
