"""Sign-ins: where somebody is signed in."""

import datetime as dt

import strawberry

from graph.node import identity
from resolvers import sign_ins
from resolvers.planner.sources import Value, Viewed, field
from resolvers.planner.texts import instant


@strawberry.type(
    description="A browser in which somebody has signed in. It ends after 15 minutes without a"
    " request, and after 12 hours."
)
class SignIn:
    id: strawberry.ID = identity("sgn")
    started_at: dt.datetime = field(
        Value(lambda token: instant(token.c.created_at)), description="When it began."
    )
    last_used_at: dt.datetime = field(
        Value(sign_ins.last_used_at), description="Its last request, to some seconds."
    )
    is_current: bool = field(
        Viewed(sign_ins.is_current), description="Whether this request is made with it."
    )
