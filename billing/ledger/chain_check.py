"""The comparison of a client's rows with their hash chain."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from billing.ledger.hash_chain import FIRST, link_hash
from models import ChainedTable


class Difference(NamedTuple):
    """A row that is not as it was written, or a rule that does not hold, in words."""

    subject: str
    reason: str


# A row's table and key.
Name = tuple[ChainedTable, str]


def chain_differences(
    links: Sequence[Mapping[str, Any]], hashes: Mapping[Name, bytes]
) -> Iterator[Difference]:
    """Yield the differences between a client's links and the hashes of its rows.

    Each link is compared with the stored hash of the link before. So one changed row is one
    difference, and the rows after it are compared as well.
    """
    unlinked = dict(hashes)
    previous, position = FIRST, 0
    for link in links:
        position += 1
        name = link["table_name"], link["row_key"]
        is_next = link["position"] == position
        if not is_next:
            yield Difference(f"chain_link {position}", "is missing")
            position = link["position"]
        found = unlinked.pop(name, None)
        if found is None:
            yield Difference(subject(name), f"is missing, or linked twice (link {position})")
        elif is_next and link_hash(previous, found, link) != link["hash"]:
            yield Difference(subject(name), f"is not as it was written (link {position})")
        previous = link["hash"]
    for name in unlinked:
        yield Difference(subject(name), "has no link: it was inserted past the portal")


def subject(name: Name) -> str:
    table, key = name
    return f"{table.lower()} {key}"
