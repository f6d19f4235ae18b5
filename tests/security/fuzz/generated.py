"""Random hostile requests, the same for each seed: spoiled valid requests, and nonsense."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.security.fuzz import JSON, Hostile
from tests.support.example_operations import WRITTEN

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 2**31, 2**53, 2**63, -(2**64), 1e308, "", "x", "\0", "\ud800",
    "\u202e", "\ufeff", "\U0001f600", "cli_", "inv_x", "PAID", "2026-02-30", "0000-00-00", "[]", [],
    [[]], [None], {}, {"gte": 1}, {"field": "NAME", "direction": "UP"}, "00", "zz", "a" * 5_000,
)  # fmt: skip
NUMBERS = ("1e400", "-0", "NaN", "Infinity", "9" * 500, "0x1", "01", "1.", "1E-999", "-")
PIECES = (
    "{", "}", "(", ")", "[", "]", ":", "!", "$", "@", "...", "|", "&", "=", '"', '"""', "#", "\\",
    "on", "fragment", "query", "null", "true", "id", "client", "nodes", "__schema", "@skip(if:",
    "1" * 30, "\\u0000", "\ufeff", "\U0001f600", "\r", ",", "first:", "$v", "é",
)  # fmt: skip
TYPES = ("application/json", "application/json; charset=utf-8", "text/json", "*/*", "a" * 300, "é")
DECLARED = ("Int", "ID!", "[ID!]!", "DateRange", "[InvoiceStatus!]", "InvoiceOrder", "Boolean", "X")


def generated(count: int, seed: int) -> Iterator[Hostile]:
    chance = random.Random(seed)
    for number in range(count):
        spoil = chance.choice(WAYS)
        content = spoil(chance)
        headers = dict(JSON)
        if chance.random() < 0.05:
            headers["Content-Type"] = chance.choice(TYPES[:-1])
        if chance.random() < 0.1:
            headers["Accept"] = chance.choice(("*/*", "text/html", "application/json;q=0", "\t"))
        method = chance.choice(("GET", "PUT", "DELETE")) if chance.random() < 0.02 else "POST"
        yield Hostile(f"{number} {spoil.__name__}", content, headers, method)


def good(chance: random.Random) -> tuple[str, dict[str, Any]]:
    query, variables = chance.choice(list(WRITTEN.values()))
    return query, dict(variables)


def sent(query: str, variables: Any = None, name: Any = None) -> bytes:
    return json.dumps({"query": query, "variables": variables, "operationName": name}).encode()


def spoiled_text(chance: random.Random) -> bytes:
    """Return a valid document with a few places changed."""
    query, variables = good(chance)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        place, end = sorted(chance.randrange(len(query) + 1) for _ in range(2))
        piece = chance.choice(PIECES) * chance.choice((1, 1, 1, 3, 60))
        query = query[:place] + piece + query[chance.choice((place, place, end)) :]
    return sent(query, variables)


def spoiled_bytes(chance: random.Random) -> bytes:
    content = bytearray(sent(*good(chance)))
    for _ in range(chance.choice((1, 3, 30))):
        content[chance.randrange(len(content))] = chance.randrange(256)
    cut = chance.randrange(len(content))
    return bytes(content if chance.random() < 0.5 else content[:cut] + content[: cut // 2])


def noise(chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice((1, 10, 1_000, 50_000)))


def pieces(chance: random.Random) -> bytes:
    """Return a document of GraphQL's words in random order."""
    return sent(" ".join(chance.choices(PIECES, k=chance.choice((3, 30, 300, 3_000)))))


def odd_value(chance: random.Random, depth: int = 4) -> Any:
    kind = chance.random()
    if depth and kind < 0.15:
        return [odd_value(chance, depth - 1)] * chance.choice((1, 2, 50))
    if depth and kind < 0.3:
        keys = ("gte", "lte", "field", "direction", "x", "\0", "")
        return {chance.choice(keys): odd_value(chance, depth - 1) for _ in range(3)}
    return chance.choice(ODD)


def odd_variables(chance: random.Random) -> bytes:
    """Return variables of other types than declared, for each kind of argument."""
    type_ = chance.choice(DECLARED)
    argument, field = chance.choice(
        (
            ("first", "invoices"), ("after", "invoices"), ("status", "invoices"),
            ("dateRange", "statements"), ("orderBy", "invoices"), ("pastDue", "invoices"),
            ("kind", "accountHistory"), ("last", "payments"), ("before", "receipts"),
        )
    )  # fmt: skip
    asked = f"client {{ {field}({argument}: $v) {{ totalCount nodes {{ id }} }} }}"
    if chance.random() < 0.3:
        asked = f"{chance.choice(('nodes(ids: $v)', 'node(id: $v)', 'client(id: $v)'))} {{ id }}"
    default = f" = {chance.choice(('null', '1', '[]', '{}', 'PAID'))}" * (chance.random() < 0.2)
    return sent(f"query ($v: {type_}{default}) {{ {asked} }}", {"v": odd_value(chance)})


def odd_numbers(chance: random.Random) -> bytes:
    number = chance.choice(NUMBERS)
    query = f"{{ client {{ invoices(first: {number}) {{ totalCount }} }} }}"
    if chance.random() < 0.5:
        return sent(query)
    query = "query ($v: Int) { client { invoices(first: $v) { totalCount } } }"
    return b'{"query": "%s", "variables": {"v": %s}}' % (query.encode(), number.encode())


def odd_request(chance: random.Random) -> bytes:
    """Return a request with members of wrong types, or a batch."""
    request: dict[str, Any] = {"query": good(chance)[0], "variables": {}, "operationName": None}
    request[chance.choice(list(request))] = odd_value(chance)
    wrapped: Any = [request] * chance.randrange(1, 9) if chance.random() < 0.2 else request
    return json.dumps(wrapped).encode()


def deep(chance: random.Random) -> bytes:
    depth = chance.choice((10, 200, 1_020, 1_030, 40_000))
    opened, closed = chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    nested = opened * depth + b"1" + closed * depth
    if chance.random() < 0.3:
        return nested
    return b'{"query": "query ($v: [ID!]!) { nodes(ids: $v) { id } }", "variables": {"v": %s}}' % (
        nested
    )


def bomb(chance: random.Random) -> bytes:
    """Return aliases, fragments, directives, definitions or literals in random numbers."""
    size = chance.choice((5, 50, 190, 400, 1_200))
    names = [f"a{number}" for number in range(size)]
    field = chance.choice(
        (
            "id", "canPay { reason }", "invoices { nodes { payable { amount } } }", "name",
            "accountHistory { nodes { status } }", "practice { clinicians { id } }",
            "superbills { totalCount pageInfo { endCursor } }", "activePayment { client { id } }",
        )
    )  # fmt: skip
    text = {
        "aliases": lambda: "{ client { " + " ".join(f"{n}: {field}" for n in names) + " } }",
        "fields": lambda: "{ client { " + f"{field} " * size + "} }",
        "fragments": lambda: (
            "{ client { " + " ".join(f"...{n}" for n in names) + " } }"
            + " ".join(f"fragment {n} on Client {{ {field} }}" for n in names)
        ),
        "chain": lambda: (
            "{ client { ...a0 } }"
            + " ".join(f"fragment a{n} on Client {{ {field} ...a{n + 1} }}" for n in range(size))
            + f" fragment a{size} on Client {{ id }}"
        ),
        "directives": lambda: "{ client { " + "id @skip(if: false) " * size + "} }",
        "operations": lambda: " ".join(f"query {n} {{ client {{ {field} }} }}" for n in names),
        "definitions": lambda: (
            f"query ({' '.join(f'${n}: Int' for n in names)}) {{ client {{ id }} }}"
        ),
        "literals": lambda: f"{{ nodes(ids: {json.dumps(names)}) {{ id }} }}",
        "objects": lambda: "{ client(id: " + "{a: " * size + "1" + "}" * size + ") { id } }",
        "selections": lambda: (
            "{ client { " + "activePayment { client { " * size + "id" + " } }" * size + " } }"
        ),
    }  # fmt: skip
    return sent(text[chance.choice(list(text))](), name=chance.choice((None, None, "a0")))


def wide(chance: random.Random) -> bytes:
    """Return very many values in variables."""
    count = chance.choice((100, 5_000, 30_000))
    value = [chance.choice(ODD[:12])] * count
    return sent("query ($v: [ID!]!) { nodes(ids: $v) { id } }", {"v": value, "w": value})


WAYS: tuple[Callable[[random.Random], bytes], ...] = (
    spoiled_text, spoiled_text, spoiled_text, spoiled_bytes, noise, pieces, odd_variables,
    odd_variables, odd_numbers, odd_request, odd_request, deep, bomb, bomb, wide,
)  # fmt: skip
