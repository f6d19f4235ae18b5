"""The shape of the portal's answers, for peers whose libraries decide the shape of their own.

Values stay as they are. A connection's edges become nodes. In the documents (`*.graphql`) the keys
of lists say what a list stands for:

- `statementsOf`: a connection of all its rows.
- `invoicesPage10`: a page of ten rows; an eleventh shows that there are more.
- `accountHistoryCursor20`: the same, where the portal also returns a cursor. The peer has none.
- `invoicesTotal`: the number of rows of the whole list, beside a page of it.
"""

import re
from typing import Any

LISTED = re.compile(r"(?P<name>[a-z]\w*?)(?P<kind>Of|Total|(Page|Cursor)(?=\d))(?P<size>\d*)")


def as_portals(answer: Any) -> Any:
    """Return an answer with the portal's keys and connections."""
    if isinstance(answer, list):
        return [as_portals(each) for each in answer]
    if not isinstance(answer, dict):
        return answer
    found: dict[str, Any] = {}
    for key, value in answer.items():
        listed = LISTED.fullmatch(key)
        if listed:
            found.setdefault(listed["name"], {}).update(page(value, listed["kind"], listed["size"]))
        elif key == "edges":
            found["nodes"] = [as_portals(edge["node"]) for edge in value]
        else:
            found[key] = as_portals(value)
    return found


def page(value: Any, kind: str, size: str) -> dict[str, Any]:
    """Return the fields of the portal's connection that a list stands for."""
    if kind == "Total":
        return {"totalCount": value}
    most = int(size or len(value))
    found: dict[str, Any] = {"nodes": as_portals(value[:most])}
    if kind != "Of":
        found["pageInfo"] = {"hasNextPage": len(value) > most}
    if kind == "Cursor":
        found["pageInfo"]["endCursor"] = "" if value else None
    return found
