"""The reasons of declined cards that may be disclosed."""

from collections.abc import Mapping
from typing import Any

from models import DeclineReason

DECLINES = {
    "insufficient_funds": DeclineReason.INSUFFICIENT_FUNDS,
    "expired_card": DeclineReason.EXPIRED_CARD,
    "incorrect_cvc": DeclineReason.INCORRECT_CVC,
    "invalid_cvc": DeclineReason.INCORRECT_CVC,
    "incorrect_zip": DeclineReason.INCORRECT_ZIP,
    "authentication_required": DeclineReason.AUTHENTICATION_FAILED,
    "payment_intent_authentication_failure": DeclineReason.AUTHENTICATION_FAILED,
    "setup_intent_authentication_failure": DeclineReason.AUTHENTICATION_FAILED,
}


def parse_decline(failed: Mapping[str, Any] | None) -> DeclineReason | None:
    """Return the reason of an intent's last error, if it has one."""
    return decline_reason(failed.get("code"), failed.get("decline_code")) if failed else None


def decline_reason(code: str | None, decline_code: str | None) -> DeclineReason:
    """Return the reason to disclose. A lost, stolen or fraudulent card looks like any other."""
    known = DECLINES.get(decline_code or "") or DECLINES.get(code or "")
    return known or DeclineReason.GENERIC
