"""A cache of answers, each with the versions of the data that it was read from.

An answer is a function of its statement, of the statement's parameters and of the data. So these
are its key and its versions: the viewer's ids, the day and the variables are parameters. A kept
answer is returned if the versions are still the same. The statement that looks them up verifies the
viewer too.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

from execution.request_viewer import RequestViewer
from identity.data_versions import MISSING
from identity.viewer import Viewer
from models.measures import CACHE_LOOKUPS
from planner.cache import FairCache
from planner.json_text import NULL_VIOLATION
from planner.plan import Plan

# Bytes that an item takes besides its answer and texts in its key, and the part of the cache that
# one item may take.
ITEM, LARGEST = 1_500, 1 / 8
# Types of parameters whose values are equal only if they are the same.
EXACT = frozenset({str, int, bool, NoneType, dt.date, dt.datetime, bytes})

Key = tuple[Any, ...]


@dataclass(slots=True)
class KeptAnswer:
    """An answer and the versions of its data.

    `is_tried` says whether the versions are looked up first. Data that changed since the last
    answer is likely to change again, so its next answer is read without that.
    """

    versions: str
    body: bytes
    is_tried: bool = True


class AnswerCache:
    """Answers of viewers with a token. `size` is in bytes; with 0 none is kept."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.items: FairCache[Key, KeptAnswer] = FairCache(size, weight)

    async def read(self, plan: Plan, values: Sequence[Any], sender: RequestViewer) -> bytes | None:
        """Return the answer of a plan with these parameters, and verify the viewer.

        Return None if a value is null that must not be.
        """
        statement = plan.sql, values
        key = self.key(plan, values, sender.viewer)
        if key is None:
            return answer_bytes(await sender.read(statement))
        owner = sender.viewer.owner
        known = self.items.recall(key, owner)
        if known and known.is_tried and await sender.versions(plan.scope) == known.versions:
            CACHE_LOOKUPS.add("answers", "hit")
            return known.body
        CACHE_LOOKUPS.add("answers", "miss")
        versions, text = await sender.read_with_versions(statement, plan.scope)
        body = answer_bytes(text)
        if body is not None and versions is not None and MISSING not in versions:
            is_tried = known is None or known.versions == versions
            self.keep(key, KeptAnswer(versions, body, is_tried), owner)
        return body

    def keep(self, key: Key, answer: KeptAnswer, owner: str) -> None:
        self.items.forget(key)
        if weight(key, answer) <= self.size * LARGEST:
            self.items.keep(key, answer, owner)

    def key(self, plan: Plan, values: Sequence[Any], viewer: Viewer) -> Key | None:
        """Return the key of an answer, or None if it must not be kept.

        Values of different types may be equal, so the types are part of it.
        """
        if not self.size or plan.scope is None:
            return None
        flat = [tuple(value) if type(value) is list else value for value in values]
        types = tuple(map(type, flat))
        inner = [tuple(map(type, value)) for value in flat if type(value) is tuple]
        if not all(EXACT.issuperset(each) for each in (set(types) - {tuple}, *inner)):
            return None
        return plan.identity, viewer.practice_id, viewer.kind, types, *inner, *flat


def answer_bytes(text: str | None) -> bytes | None:
    """Return the bytes of a statement's result, unless a value is null that must not be."""
    return None if text is None or NULL_VIOLATION in text else text.encode()


def weight(key: Key, answer: KeptAnswer) -> int:
    return ITEM + len(answer.body) + text_length(key)


def text_length(values: Iterable[Any]) -> int:
    """Return the length of the texts in a key, which are long only if a request has them."""
    return sum(
        len(value) if isinstance(value, str | bytes) else text_length(value)
        for value in values
        if isinstance(value, str | bytes | tuple)
    )
