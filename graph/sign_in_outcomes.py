"""What the mutations of signing in come to."""

import datetime as dt
from typing import Annotated

import strawberry

from billing.refusals import ErrorCode
from graph.outcomes import NotFound, TooManyAttempts, UserError, code, message, path
from graph.query import Viewer
from resolvers import viewers
from resolvers.planner.sources import One, Value, field

viewer = field(One(viewers.viewer), description="Who it is.")


@strawberry.type(description="The same for every address, known or not.")
class RequestSignInLinkPayload:
    nonce: str = field(
        Value(lambda outcome: outcome.text("nonce")),
        description="To be kept in this browser: the link works with it alone.",
    )
    expires_at: dt.datetime = field(
        Value(lambda outcome: outcome.text("expires_at")),
        description="Until when the link works, if there is one.",
    )


@strawberry.type(description="Somebody is signed in.")
class SignedIn:
    token: str = field(
        Value(lambda outcome: outcome.text("token")),
        description="To be sent as `Authorization: Bearer …`. It works until it was not used for"
        " 15 minutes, and for 12 hours at the most.",
    )
    expires_at: dt.datetime = field(
        Value(lambda outcome: outcome.text("expires_at")),
        description="When it stops working at the latest.",
    )
    viewer: Viewer = viewer


@strawberry.type(
    description="The link doesn't sign in: it was used, is too old or not the newest, is none, or"
    " was asked for in another browser. Which of these, isn't told."
)
class SignInLinkInvalid(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(description="How signing out ended.")
class SignOutPayload:
    signed_out: bool = field(
        Value(lambda outcome: outcome.truth("signed_out")),
        description="Whether a sign-in was ended. Other tokens are left as they are: false.",
    )


@strawberry.type(description="The sign-in is over.")
class SignInRevoked:
    viewer: Viewer = viewer


SignInResult = Annotated[
    SignedIn | SignInLinkInvalid | TooManyAttempts,
    strawberry.union("SignInResult", description="What signing in came to."),
]
RevokeSignInResult = Annotated[
    SignInRevoked | NotFound,
    strawberry.union("RevokeSignInResult", description="What ending a sign-in came to."),
]
