"""Expansion: an object in place of its id, if the call requests it."""

from sandbox.errors import StripeError, invalid
from sandbox.store import Object, Store, public_view

# The fields that can be expanded, by kind of object, and the kind that each refers to.
EXPANDABLE: dict[str, dict[str, str]] = {
    "payment_intent": {
        "customer": "customer",
        "latest_charge": "charge",
        "payment_method": "payment_method",
    },
    "setup_intent": {"customer": "customer", "payment_method": "payment_method"},
    "charge": {
        "balance_transaction": "balance_transaction",
        "customer": "customer",
        "payment_intent": "payment_intent",
    },
    "refund": {"charge": "charge", "payment_intent": "payment_intent"},
    "dispute": {"charge": "charge", "payment_intent": "payment_intent"},
    "payment_method": {"customer": "customer"},
}
# Levels, including a list's `data`.
DEEPEST = 4


def check_paths(kind: str, *, is_list: bool, paths: list[str]) -> None:
    """Refuse unknown paths for this kind of object, before any work is done."""
    for path in paths:
        parts = path.split(".")
        if len(parts) > DEEPEST:
            raise invalid(f"You cannot expand more than {DEEPEST} levels of a property.")
        if is_list and parts.pop(0) != "data":
            raise unknown_path(path)
        of: str | None = kind
        for name in parts:
            of = EXPANDABLE.get(of or "", {}).get(name)
            if of is None:
                raise unknown_path(path)


def unknown_path(path: str) -> StripeError:
    return invalid(f"This property cannot be expanded ({path}).", None, "expand")


def expanded(store: Store, account: str, answer: Object, paths: list[str]) -> Object:
    """Return the response with objects at the given paths, such as `payment_method`."""
    for path in paths:
        parts = path.split(".")
        if answer["object"] == "list":
            items = [expand(store, account, one, parts[1:]) for one in answer["data"]]
            answer = answer | {"data": items}
        else:
            answer = expand(store, account, answer, parts)
    return answer


def expand(store: Store, account: str, one: Object, parts: list[str]) -> Object:
    if not parts:
        return one
    name, *rest = parts
    inner = one.get(name)
    if isinstance(inner, str):
        inner = public_view(store.find(account, EXPANDABLE[one["object"]][name], inner))
    return one | {name: expand(store, account, inner, rest)} if inner else one
