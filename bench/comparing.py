"""Comparison of servers: the same requests are sent to all, and their responses compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import orjson

from bench.load import Exchange, NotAnswered, answers, request
from bench.operations import Asked
from bench.servers import Served, Server

# Cursors differ between servers; only their presence is compared.
CURSOR = "endCursor"


@dataclass(frozen=True)
class Side:
    """A server with its requests, and the bodies of the responses."""

    server: Server
    exchanges: Sequence[Exchange]
    # Seconds of a request without other load.
    alone: float

    @property
    def name(self) -> str:
        return self.server.name

    @property
    def size(self) -> int:
        """Return the bytes of a response's body."""
        return round(median(len(exchange.body) for exchange in self.exchanges))


async def side(server: Server, asked: Sequence[Asked]) -> Side:
    """Send each request once."""
    requests = [request(each) for each in server.target.asking(asked)]
    answered = await answers(server.port, requests)
    for each in answered:
        check(each.body)
    pairs = zip(requests, answered, strict=True)
    exchanges = [Exchange(sent, each.body, each.size) for sent, each in pairs]
    return Side(server, exchanges, median(each.took for each in answered))


def check(body: bytes) -> None:
    """Raise NotAnswered if the body is not JSON with data, although the status was 200."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NotAnswered(f"not JSON: {body[:100]!r}") from None
    if not isinstance(told, dict) or "errors" in told:
        raise NotAnswered(shown(told))


async def sides(served: Served, operation: str) -> tuple[list[Side], dict[str, str]]:
    """Return the servers with equal responses, and for the others a reason, by name.

    The portal's responses are the reference, or the first server's.
    """
    asked = {name: askers.asked()[operation] for name, askers in served.askers.items()}
    found, wrong = [], {}
    for server in served.servers:
        try:
            found.append(await side(server, asked[server.target.database]))
        except (NotAnswered, OSError) as error:
            wrong[server.name] = f"does not answer: {error}"
    differing = differences({each.name: shaped_bodies(each) for each in found})
    return [each for each in found if each.name not in differing], wrong | differing


async def all_sides(served: Served, operation: str) -> list[Side]:
    """Return all servers; raise NotAnswered if one is missing or differs."""
    found, wrong = await sides(served, operation)
    if why := {**served.absent, **wrong}:
        raise NotAnswered(", ".join(f"{name} {said}" for name, said in why.items()))
    return found


def bodies(side: Side) -> list[bytes]:
    return [exchange.body for exchange in side.exchanges]


def shaped_bodies(side: Side) -> list[bytes]:
    """Return the bodies in the portal's shape."""
    shape = side.server.target.shape
    if shape is None:
        return bodies(side)
    return [orjson.dumps(shape(orjson.loads(body))) for body in bodies(side)]


def differences(data: Mapping[str, Sequence[bytes]], reference: str = "portal") -> dict[str, str]:
    """Return the servers that differ from the reference, with the difference."""
    reference = reference if reference in data else next(iter(data), "")
    found = {}
    for name, own in data.items():
        pairs = zip(own, data[reference], strict=True)
        each = (difference(orjson.loads(its), orjson.loads(portal)) for its, portal in pairs)
        if why := next(filter(None, each), None):
            found[name] = f"answers otherwise than {reference}: {why}"
    return found


def difference(its: Any, portal: Any, place: str = "") -> str | None:
    """Return the path of the first difference between two responses, and both values."""
    if isinstance(its, dict) and isinstance(portal, dict) and its.keys() == portal.keys():
        each = (difference(its[key], portal[key], f"{place}.{key}") for key in portal)
        return next(filter(None, each), None)
    if isinstance(its, list) and isinstance(portal, list) and len(its) == len(portal):
        pairs = enumerate(zip(its, portal, strict=True))
        each = (difference(one, other, f"{place}[{at}]") for at, (one, other) in pairs)
        return next(filter(None, each), None)
    if place.endswith(f".{CURSOR}") and isinstance(its, str) and isinstance(portal, str):
        return None
    # 1 and true are equal in Python, and different in JSON.
    if its == portal and type(its) is type(portal):
        return None
    return f"{place.removeprefix('.') or 'the answer'} is {shown(its)} instead of {shown(portal)}"


def shown(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 100 else f"{text[:100]} …"
