"""What a key of Stripe's says of itself."""

from billing.payments import PaymentsMode


def mode(api_key: str | None) -> PaymentsMode:
    """Where a key sends payments; none: to the sandbox. ValueError for what is no secret key."""
    if api_key is None:
        return PaymentsMode.SANDBOX
    for kind, found in (("test", PaymentsMode.TEST), ("live", PaymentsMode.LIVE)):
        if api_key.startswith((f"sk_{kind}_", f"rk_{kind}_")):
            return found
    raise ValueError("is no secret key of Stripe's: it begins with sk_test_, sk_live_ or rk_")
