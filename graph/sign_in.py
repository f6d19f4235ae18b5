"""Sign-ins: where somebody is signed in, and as whom."""

import datetime as dt

import strawberry

from graph.node import identity
from models import ViewerKind
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


@strawberry.type(
    description="A client or a contact of the practice who has the e-mail address that signed in."
    " `switchViewer` continues as another one."
)
class Identity:
    id: strawberry.ID = identity("idn")
    kind: ViewerKind = field(
        Value(lambda person: person.c.kind), description="Whether it is a client or a contact."
    )
    name: str = field(Value(lambda person: person.c.name), description="The person's name.")
    is_current: bool = field(
        Viewed(sign_ins.is_viewer), description="Whether this is the current viewer."
    )
