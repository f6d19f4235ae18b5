"""The operations of entries in chronological order, and the numbers of documents."""

import datetime as dt
import heapq
import random
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import NamedTuple

from billing.document_numbers import KINDS
from billing.entry.numbering import give_number, standard_serial
from billing.entry.rows import Insertion, Operation, Stamp
from billing.ledger.hash_chain import CHAINED, Chain
from models import ChainLink, DocumentCounter
from models.ids import IdSequence


class Entered(NamedTuple):
    """An operation, with the time at which it was entered."""

    at: dt.datetime
    operation: Operation


class Chance:
    """A random generator that repeats its values for the same path."""

    def __init__(self, *path: object) -> None:
        # The values must be repeatable; they need not be secret.
        self.random = random.Random("/".join(map(str, path)))  # noqa: S311

    def stamp(self, at: dt.datetime, day: dt.date) -> Stamp:
        return Stamp(at, day, IdSequence(at, self.random.getrandbits))

    def happens(self, probability: float) -> bool:
        return self.random.random() < probability

    def digits(self, length: int) -> str:
        return "".join(self.random.choices("0123456789", k=length))


def numbered(
    practice_id: str, at: dt.datetime, lives: Iterable[Iterator[Entered]]
) -> Iterator[Entered]:
    """Yield the operations of all clients in chronological order, with documents numbered in that
    order, and with the links of each client's hash chain.

    A client's next entry is only made after the previous one has its number, so it can quote the
    number.
    """
    last = dict.fromkeys(KINDS.values(), 0)
    chains: dict[str, Chain] = {}
    for entered in heapq.merge(*lives, key=attrgetter("at")):
        operation = entered.operation
        if isinstance(operation, Insertion) and operation.table in KINDS:
            kind = KINDS[operation.table]
            last[kind] += 1
            give_number(operation, standard_serial(operation.table, last[kind]))
        yield entered
        if isinstance(operation, Insertion) and operation.table in CHAINED:
            client_id = operation.values["client_id"]
            chain = chains.setdefault(client_id, Chain(practice_id, client_id))
            link = chain.link((operation.table, operation.values), entered.at)
            yield Entered(entered.at, Insertion(ChainLink, link))
    for kind, number in last.items():
        values = {"practice_id": practice_id, "kind": kind, "last": number, "prefix": None}
        yield Entered(at, Insertion(DocumentCounter, values))
