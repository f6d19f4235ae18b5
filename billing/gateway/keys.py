"""The modes of Stripe's secret keys."""

from billing.payments import PaymentsMode


def mode(api_key: str | None) -> PaymentsMode:
    """Return the mode of a key; without a key it is the sandbox. Raise ValueError for
    other texts.
    """
    if api_key is None:
        return PaymentsMode.SANDBOX
    for kind, found in (("test", PaymentsMode.TEST), ("live", PaymentsMode.LIVE)):
        if api_key.startswith((f"sk_{kind}_", f"rk_{kind}_")):
            return found
    raise ValueError(
        "is no secret key of Stripe: a secret key begins with sk_test_, sk_live_ or rk_"
    )
