"""Outcomes of the mutations of signing in."""

import datetime as dt
from typing import Annotated

import strawberry

from billing.refusals import ErrorCode
from graph.outcomes import (
    InvalidInput,
    NotFound,
    TooManyAttempts,
    UserError,
    code,
    message,
    path,
)
from graph.query import Viewer
from resolvers import viewers
from resolvers.planner.sources import One, Value, field

viewer = field(One(viewers.viewer), description="Who it is.")


@strawberry.type(description="The same for every address, known or not.")
class RequestSignInLinkPayload:
    nonce: str = field(
        Value(lambda outcome: outcome.text("nonce")),
        description="To be kept in this browser: a link or a code of the mail works with it alone.",
    )
    expires_at: dt.datetime = field(
        Value(lambda outcome: outcome.text("expires_at")),
        description="Until when this browser can sign in with the mail, if there is one.",
    )
    next_mail_at: dt.datetime | None = field(
        Value(lambda outcome: outcome.text("next_mail_at")),
        description="Not null: this time no mail was sent, known or not, because several were asked"
        " for of late. The link of the newest one works with this nonce too; another mail can be"
        " had from this time on.",
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
    description="The link doesn't sign in: it was used, is too old, is none, or was asked for in"
    " another browser. Which of these, isn't told."
)
class SignInLinkInvalid(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(
    description="The code doesn't sign in: it is wrong, was used, is too old, or is of a mail that"
    " was asked for elsewhere. Which of these, isn't told."
)
class SignInCodeInvalid(UserError):
    tries_left: int = field(
        Value(lambda outcome: outcome.number("tries_left")),
        description="How many codes may still be tried with this nonce. 0: ask for another mail, or"
        " use the link.",
    )
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


@strawberry.type(description="The sign-in continues as another person.")
class ViewerSwitched:
    viewer: Viewer = viewer


SignInResult = Annotated[
    SignedIn | SignInLinkInvalid,
    strawberry.union("SignInResult", description="Whether the link signed in."),
]
SignInWithCodeResult = Annotated[
    SignedIn | SignInCodeInvalid | TooManyAttempts | InvalidInput,
    strawberry.union("SignInWithCodeResult", description="Whether the code signed in."),
]
SwitchViewerResult = Annotated[
    ViewerSwitched | NotFound,
    strawberry.union("SwitchViewerResult", description="Whether the sign-in was switched."),
]
RevokeSignInResult = Annotated[
    SignInRevoked | NotFound,
    strawberry.union("RevokeSignInResult", description="What ending a sign-in came to."),
]
