"""Lists: pages of an account's objects, the newest first, as Stripe filters them."""

import fnmatch
from itertools import islice
from typing import Any

from sandbox.errors import invalid
from sandbox.store import Object, Store, public_view

PAGE_SIZE, MOST = 10, 100
# Stripe lists events for thirty days.
EVENTS_S = 30 * 24 * 60 * 60
# Parameters that are compared with the object's field of the same name.
SAME = ("payment_intent", "charge", "customer", "payment_method", "type")


def list_page(store: Store, account: str, kind: str, params: Object, url: str) -> Object:
    """Return a page of the matching objects. Only as many are read as the page needs."""
    size, after, before = (
        params.get("limit", PAGE_SIZE),
        params.get("starting_after"),
        params.get("ending_before"),
    )
    if after and before:
        raise invalid(
            "You may only specify one of these parameters: ending_before, starting_after."
        )
    below = store.number(account, kind, after, "starting_after") if after else None
    above = store.number(account, kind, before, "ending_before") if before else None
    objects = (
        store.newest(kind, account, below) if above is None else store.next(kind, account, above)
    )
    found = list(islice((one for one in objects if matches_filters(store, one, params)), size + 1))
    page = found[:size] if above is None else found[:size][::-1]
    data = [public_view(one) for one in page]
    return {"object": "list", "data": data, "has_more": len(found) > size, "url": url}


def matches_filters(store: Store, one: Object, params: Object) -> bool:
    if one.get("deleted") or not in_range(one["created"], params.get("created", {})):
        return False
    if one["object"] == "event":
        return is_asked_event(store, one, params)
    return all(one.get(name) == params[name] for name in SAME if name in params)


def in_range(created: int, asked: Any) -> bool:
    if isinstance(asked, int):
        return created == asked
    tests = {
        "gt": lambda limit: created > limit,
        "gte": lambda limit: created >= limit,
        "lt": lambda limit: created < limit,
        "lte": lambda limit: created <= limit,
    }
    return all(tests[name](limit) for name, limit in asked.items())


def is_asked_event(store: Store, event: Object, params: Object) -> bool:
    if event["created"] < store.now() - EVENTS_S:
        return False
    if "type" in params and not fnmatch.fnmatchcase(event["type"], params["type"]):
        return False
    if "types" in params and event["type"] not in params["types"]:
        return False
    delivered = not store.is_waiting(event["id"])
    return bool(params.get("delivery_success", delivered) == delivered)
