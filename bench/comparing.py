"""Whether servers answer alike: what is asked of one is asked of all, and the answers compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import orjson

from bench.load import Exchange, NotAnswered, answers, request
from bench.operations import Asked
from bench.servers import Served, Server

# Each server's own: what matters is whether one is there.
CURSOR = "endCursor"


@dataclass(frozen=True)
class Side:
    """A server and what it is asked: requests, with the bodies that answered them."""

    server: Server
    exchanges: Sequence[Exchange]
    # Seconds that a request takes if nothing else is asked.
    alone: float

    @property
    def name(self) -> str:
        return self.server.name

    @property
    def size(self) -> int:
        """Bytes of an answer's body."""
        return round(median(len(exchange.body) for exchange in self.exchanges))


async def side(server: Server, asked: Sequence[Asked]) -> Side:
    """Asks each of these once."""
    requests = [request(each) for each in server.target.asking(asked)]
    answered = await answers(server.port, requests)
    for each in answered:
        check(each.body)
    pairs = zip(requests, answered, strict=True)
    exchanges = [Exchange(sent, each.body, each.size) for sent, each in pairs]
    return Side(server, exchanges, median(each.took for each in answered))


def check(body: bytes) -> None:
    """A server may say by 200 that it has no answer."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NotAnswered(f"not JSON: {body[:100]!r}") from None
    if not isinstance(told, dict) or "errors" in told:
        raise NotAnswered(shown(told))


async def sides(served: Served, operation: str) -> tuple[list[Side], dict[str, str]]:
    """Those who answer alike, and of the others what is wrong, by name.

    The portal's answers are those that the others are compared with, or the first one's.
    """
    asked = {name: askers.asked()[operation] for name, askers in served.askers.items()}
    found, wrong = [], {}
    for server in served.servers:
        try:
            found.append(await side(server, asked[server.target.database]))
        except (NotAnswered, OSError) as error:
            wrong[server.name] = f"does not answer: {error}"
    differing = differences({each.name: bodies(each) for each in found})
    return [each for each in found if each.name not in differing], wrong | differing


async def all_sides(served: Served, operation: str) -> list[Side]:
    """Every one of them; NotAnswered where one isn't there or answers otherwise."""
    found, wrong = await sides(served, operation)
    if why := {**served.absent, **wrong}:
        raise NotAnswered(", ".join(f"{name} {said}" for name, said in why.items()))
    return found


def bodies(side: Side) -> list[bytes]:
    return [exchange.body for exchange in side.exchanges]


def differences(told: Mapping[str, Sequence[bytes]], reference: str = "portal") -> dict[str, str]:
    """Where one answers otherwise than the portal, or than the first, if there is no portal."""
    reference = reference if reference in told else next(iter(told), "")
    found = {}
    for name, own in told.items():
        pairs = zip(own, told[reference], strict=True)
        each = (difference(orjson.loads(its), orjson.loads(portal)) for its, portal in pairs)
        if why := next(filter(None, each), None):
            found[name] = f"answers otherwise than {reference}: {why}"
    return found


def difference(its: Any, portal: Any, place: str = "") -> str | None:
    """The first place where two answers differ, and how."""
    if isinstance(its, dict) and isinstance(portal, dict) and its.keys() == portal.keys():
        each = (difference(its[key], portal[key], f"{place}.{key}") for key in portal)
        return next(filter(None, each), None)
    if isinstance(its, list) and isinstance(portal, list) and len(its) == len(portal):
        pairs = enumerate(zip(its, portal, strict=True))
        each = (difference(one, other, f"{place}[{at}]") for at, (one, other) in pairs)
        return next(filter(None, each), None)
    if place.endswith(f".{CURSOR}") and isinstance(its, str) and isinstance(portal, str):
        return None
    # 1 and true are equal in Python, and not in JSON.
    if its == portal and type(its) is type(portal):
        return None
    return f"{place.removeprefix('.') or 'the answer'} is {shown(its)} instead of {shown(portal)}"


def shown(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 100 else f"{text[:100]} …"
