"""Sign-ins of a person, and the identities that a sign-in can use."""

import datetime as dt

import strawberry

import models
from graph.fields import column, field
from graph.node import identity
from models import ViewerKind
from planner.sources import Value, ViewerField
from planner.tables import RowOf
from resolvers import sign_ins
from resolvers.field_facts import NO_SCOPE, needs


@needs(NO_SCOPE)
@strawberry.type(
    description="A signed-in session of a browser. It ends after 15 minutes without a request, and"
    " after 12 hours at the latest."
)
class SignIn:
    id: strawberry.ID = identity("sgn")
    started_at: dt.datetime = column(models.Token.created_at, "When the sign-in began.")
    last_used_at: dt.datetime = field(
        Value(sign_ins.last_used_at),
        description="The time of the last request, accurate to some seconds.",
    )
    is_current: bool = field(
        ViewerField(sign_ins.is_current), description="Whether this request uses the sign-in."
    )


@needs(NO_SCOPE)
@strawberry.type(
    description="A client or contact of the practice with the e-mail address that was used to sign"
    " in. `switchViewer` continues the sign-in as another identity."
)
class Identity:
    id: strawberry.ID = identity("idn")
    kind: ViewerKind = field(
        Value[RowOf[sign_ins.Person]](lambda person: person.c.kind),
        description="Whether the person is a client or a contact.",
    )
    name: str = field(
        Value[RowOf[sign_ins.Person]](lambda person: person.c.name),
        description="The person's name.",
        scopes=NO_SCOPE,
    )
    is_current: bool = field(
        ViewerField(sign_ins.is_viewer), description="Whether the person is the current viewer."
    )
