"""Context of the resolvers, made for each request."""

import datetime as dt
from typing import TypeAlias

import strawberry

from bench.peers.idiomatic.database import Reading
from bench.peers.idiomatic.loaders import Loaders
from bench.peers.idiomatic.money import Money
from bench.peers.idiomatic.sight import Sight, Viewer


class Context:
    """The viewer, the viewer's rows, the loaders, and the practice's day."""

    def __init__(self, reading: Reading, viewer: Viewer, now: dt.datetime) -> None:
        self.viewer, self.today = viewer, viewer.today(now)
        self.sight = Sight(reading, viewer)
        self.loaders = Loaders(self.sight)

    def money(self, minor: int) -> Money:
        return Money.of(minor, self.viewer.currency)


Info: TypeAlias = strawberry.Info[Context, None]
