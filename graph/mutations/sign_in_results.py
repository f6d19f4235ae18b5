"""Results of the mutations of signing in."""

import datetime as dt
from typing import Annotated

import strawberry

from billing.errors import ErrorCode
from graph.fields import field
from graph.mutations.payment_results import (
    InvalidInput,
    NotFound,
    TooManyAttempts,
    UserError,
    code,
    message,
    path,
)
from graph.types.query import Viewer
from planner.outcome import OutcomeRow
from planner.sources import ToOne, Value
from resolvers import viewer_fields
from resolvers.field_facts import NO_SCOPE, needs

viewer = field(ToOne(viewer_fields.viewer), description="The authenticated viewer.")


@needs(NO_SCOPE)
@strawberry.type(
    description="The result of `requestSignInLink`. It is the same for every address, known or not."
)
class RequestSignInLinkPayload:
    nonce: str = field(
        Value[OutcomeRow](lambda outcome: outcome.text("nonce")),
        description="A value to keep in this browser. The link and the code of the mail only work"
        " together with it.",
        scopes=NO_SCOPE,
    )
    expires_at: dt.datetime = field(
        Value[OutcomeRow](lambda outcome: outcome.text("expires_at")),
        description="The time until which this browser can sign in with the mail, if one was sent.",
    )
    next_mail_at: dt.datetime | None = field(
        Value[OutcomeRow](lambda outcome: outcome.text("next_mail_at")),
        description="If not null, no mail was sent this time, for a known or an unknown address,"
        " because several were requested recently. The link of the newest mail works with this"
        " nonce too. Another mail can be requested from this time on.",
    )


@needs(NO_SCOPE)
@strawberry.type(description="The sign-in succeeded.")
class SignedIn:
    token: str = field(
        Value[OutcomeRow](lambda outcome: outcome.text("token")),
        description="The token to send as `Authorization: Bearer …`. It expires after 15 minutes"
        " without a request, and after 12 hours at the latest.",
        scopes=NO_SCOPE,
    )
    expires_at: dt.datetime = field(
        Value[OutcomeRow](lambda outcome: outcome.text("expires_at")),
        description="The latest time at which the token expires.",
    )
    viewer: Viewer = viewer


@strawberry.type(
    description="The link is not valid: it was used, has expired, does not exist or was requested"
    " in another browser. The response does not say which of these applies."
)
class SignInLinkInvalid(UserError):
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@strawberry.type(
    description="The code is not valid: it is wrong, was used, has expired or belongs to a mail"
    " that was requested elsewhere. The response does not say which of these applies."
)
class SignInCodeInvalid(UserError):
    tries_left: int = field(
        Value[OutcomeRow](lambda outcome: outcome.number("tries_left")),
        description="The number of codes that may still be tried with this nonce. If 0, request"
        " another mail or use the link.",
    )
    code: ErrorCode = code
    message: str = message
    path: list[str] | None = path


@needs(NO_SCOPE)
@strawberry.type(description="The result of `signOut`.")
class SignOutPayload:
    signed_out: bool = field(
        Value[OutcomeRow](lambda outcome: outcome.boolean("signed_out")),
        description="Whether a sign-in was ended. False for a token that does not come from a"
        " sign-in; such a token keeps working.",
    )


@needs(NO_SCOPE)
@strawberry.type(description="The sign-in has ended.")
class SignInRevoked:
    viewer: Viewer = viewer


@needs(NO_SCOPE)
@strawberry.type(description="The sign-in continues as another person.")
class ViewerSwitched:
    viewer: Viewer = viewer


SignInResult = Annotated[
    SignedIn | SignInLinkInvalid,
    strawberry.union("SignInResult", description="The result of `signIn`."),
]
SignInWithCodeResult = Annotated[
    SignedIn | SignInCodeInvalid | TooManyAttempts | InvalidInput,
    strawberry.union("SignInWithCodeResult", description="The result of `signInWithCode`."),
]
SwitchViewerResult = Annotated[
    ViewerSwitched | NotFound,
    strawberry.union("SwitchViewerResult", description="The result of `switchViewer`."),
]
RevokeSignInResult = Annotated[
    SignInRevoked | NotFound,
    strawberry.union("RevokeSignInResult", description="The result of `revokeSignIn`."),
]
