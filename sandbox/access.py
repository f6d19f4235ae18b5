"""API keys: the valid ones, their permissions, and the accounts they reach.

Types, codes and statuses follow Stripe's: 401 and 403 are both `invalid_request_error`. A missing
permission has no code, and an inaccessible account has `account_invalid`.
"""

from sandbox import objects
from sandbox.errors import StripeError
from sandbox.store import OWN, Object, Store

# Settings by key: the key was revoked, or lacks these permissions.
REVOKED, LACKS = "revoked", "lacks"
# Setting by account: the practice has ended the platform's access.
DEAUTHORISED = "deauthorised"
APPLICATION = "ca_sandbox"


def check_key(store: Store, authorization: str) -> str:
    """Return the key of a call. Refuse a text that is no test key, and a revoked key."""
    key = authorization.removeprefix("Bearer ")
    if not key:
        raise unauthorized("You did not provide an API key.")
    if "_live_" in key:
        raise unauthorized("A live key has no business in a sandbox.")
    if not key.startswith(("sk_test_", "rk_test_")):
        raise unauthorized(f"Invalid API Key provided: {masked(key)}")
    if store.setting(REVOKED, False, key):
        raise unauthorized(f"Expired API Key provided: {masked(key)}", "api_key_expired")
    return key


def unauthorized(message: str, code: str | None = None) -> StripeError:
    return StripeError(401, "invalid_request_error", message, code=code)


def check_account(store: Store, key: str, account: str) -> None:
    """Refuse an account that the platform has no access to."""
    is_account = account == OWN or account.startswith("acct_")
    if not is_account or store.setting(DEAUTHORISED, False, account):
        raise StripeError(
            403,
            "invalid_request_error",
            f"The provided key '{masked(key)}' does not have access to account '{account}' (or that"
            " account does not exist). Application access may have been revoked.",
            code="account_invalid",
        )


def check_permission(store: Store, key: str, account: str, permission: str) -> None:
    """Refuse a call that a restricted key may not make, as `payment_intent_write`."""
    if permission in store.setting(LACKS, [], key):
        raise StripeError(
            403,
            "invalid_request_error",
            f"The provided key '{masked(key)}' does not have the required permissions for this"
            f" endpoint on account '{account}'. Having the 'rak_{permission}' permission would"
            " allow this request to continue.",
        )


def masked(key: str) -> str:
    return f"{key[:8]}{'*' * 8}{key[-4:]}"


# -- changes of access -----------------------------------------------------------------------------


def restrict(store: Store, key: str, lacks: list[str]) -> None:
    """Remove these permissions from a key, and restore all others."""
    store.set(LACKS, lacks, key)


def revoke_key(store: Store, key: str, *, revoked: bool = True) -> None:
    store.set(REVOKED, revoked, key)


def deauthorise(store: Store, account: str) -> None:
    """End the platform's access to an account, as the practice does in its dashboard."""
    store.set(DEAUTHORISED, True, account)
    application = {"id": APPLICATION, "object": "application", "name": "Portal"}
    store.tell(account, "account.application.deauthorized", application)


def authorise(store: Store, account: str) -> None:
    """Give the platform access again."""
    store.set(DEAUTHORISED, False, account)


def get_own_account(_: Store, account: str, __: Object) -> Object:
    """Return the account of the call."""
    return objects.account(f"acct_{account}" if account == OWN else account)
