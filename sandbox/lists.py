"""Lists: pages of an account's objects, the newest first, as Stripe filters them."""

import fnmatch
from typing import Any

from sandbox.errors import invalid
from sandbox.store import Object, Store, shown

PAGE_SIZE, MOST = 10, 100
# Events are there for thirty days.
EVENTS_S = 30 * 24 * 60 * 60
# Parameters that are compared with the object's field of the same name.
SAME = ("payment_intent", "charge", "customer", "payment_method", "type")


def listed(store: Store, account: str, kind: str, params: Object, url: str) -> Object:
    """Return a page of the matching objects."""
    everything = reversed(store.all(kind, account))
    found = [shown(one) for one in everything if matches(store, one, params)]
    size = params.get("limit", PAGE_SIZE)
    if "starting_after" in params and "ending_before" in params:
        raise invalid(
            "You may only specify one of these parameters: ending_before, starting_after."
        )
    if after := params.get("starting_after"):
        found = found[place(store, account, kind, found, after, "starting_after") + 1 :]
    elif before := params.get("ending_before"):
        end = place(store, account, kind, found, before, "ending_before")
        has_more, found = end > size, found[max(0, end - size) : end]
        return {"object": "list", "data": found, "has_more": has_more, "url": url}
    return {"object": "list", "data": found[:size], "has_more": len(found) > size, "url": url}


def place(store: Store, account: str, kind: str, found: list[Object], id_: str, param: str) -> int:
    """Return where a page begins: at an object of this kind, also one that doesn't match."""
    ids = [one["id"] for one in found]
    if id_ in ids:
        return ids.index(id_)
    cursor = store.find(account, kind, id_, param)
    return sum(1 for one in found if one["created"] > cursor["created"]) - 1


def matches(store: Store, one: Object, params: Object) -> bool:
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
    delivered = event["id"] not in store.waiting()
    return bool(params.get("delivery_success", delivered) == delivered)
