"""The mutations of signing in and out: each reads its input and makes one call."""

import datetime as dt
from typing import Any

from billing.audit_log import Actor
from billing.errors import (
    InvalidInput,
    NotFound,
    Refusal,
    SignInCodeInvalid,
    SignInLinkInvalid,
)
from billing.security_events import (
    SIGNIN_ENDED,
    SIGNIN_REFUSED,
    SIGNIN_REQUESTED,
    SIGNIN_SUCCEEDED,
    SIGNIN_SWITCHED,
    TOKEN_REVOKED,
)
from execution.read_audit import viewer_event_fields
from identity.sign_in import complete
from identity.sign_in import request as sign_in_request
from identity.sign_in import sign_out as sign_in_end
from identity.sign_in import switch as sign_in_switch
from identity.tokens import Subject
from identity.viewer import Viewer
from models import ViewerKind
from resolvers.mutations.result import Acting, Outcome, read_id, refusable

ID = ("input", "id")


async def request(acting: Acting, input: Any) -> Outcome:
    """Request a mail with links."""
    made = await sign_in_request.request(acting.door, input.email, acting.address_hash, acting.now)
    SIGNIN_REQUESTED.emit(address=acting.address_hash)
    values = {"nonce": made.nonce, "expires_at": written(made.expires_at)}
    if made.next_mail_at is not None:
        values["next_mail_at"] = written(made.next_mail_at)
    return Outcome("RequestSignInLinkPayload", values)


async def sign_in(acting: Acting, input: Any) -> Outcome:
    """Sign in with a link."""

    async def done() -> Outcome:
        token = await complete.sign_in(
            acting.door, input.secret, input.nonce, acting.now, acting.address_hash
        )
        return await signed_in(acting, token, SignInLinkInvalid(acting.door.lasts))

    return told(acting, await refusable(done))


async def sign_in_with_code(acting: Acting, input: Any) -> Outcome:
    """Sign in with a code."""

    async def done() -> Outcome:
        token = await complete.sign_in_with_code(
            acting.door, input.code, input.nonce, acting.now, acting.address_hash
        )
        return await signed_in(acting, token, SignInCodeInvalid(0))

    return told(acting, await refusable(done))


async def sign_out(acting: Acting) -> Outcome:
    """End the sign-in of the request."""
    is_over = await sign_in_end.sign_out(acting.door, by(acting), acting.now)
    if is_over:
        SIGNIN_ENDED.emit(**viewer_event_fields(acting.viewer, acting.address_hash))
    return Outcome("SignOutPayload", {"signed_out": is_over})


async def revoke(acting: Acting, input: Any) -> Outcome:
    """End one of the viewer's sign-ins."""

    async def done() -> Outcome:
        viewer, token_id = acting.viewer, own_id(input, "sgn")
        own = sign_in_end.own(subject(viewer), viewer.email)
        await sign_in_end.revoke(acting.door, by(acting), own, token_id, acting.now)
        who = viewer_event_fields(viewer, acting.address_hash)
        TOKEN_REVOKED.emit(**who | {"token": token_id, "by": viewer.token_id})
        return Outcome("SignInRevoked")

    return await refusable(done)


async def switch(acting: Acting, input: Any) -> Outcome:
    """Switch the sign-in to another person with the same address."""

    async def done() -> Outcome:
        viewer, person_id = acting.viewer, own_id(input, "idn")
        if viewer.email is None:
            raise NotFound("Only a sign-in can be switched.", ID)
        await sign_in_switch.switch(acting.door, by(acting), viewer.email, person_id, acting.now)
        switched = await acting.holder(viewer.token_id, acting.now)
        if switched is None:
            raise NotFound("The sign-in is over.", ID)
        SIGNIN_SWITCHED.emit(**viewer_event_fields(switched, acting.address_hash))
        return Outcome("ViewerSwitched", viewer=switched)

    return await refusable(done)


async def signed_in(acting: Acting, token: str, ended: Refusal) -> Outcome:
    """Return the outcome of a sign-in. Raise `ended` if the sign-in was ended in the meantime."""
    viewer = await acting.recognise(token, acting.now)
    if viewer is None:
        raise ended
    values = {"token": token, "expires_at": written(viewer.expires_at)}
    return Outcome("SignedIn", values, viewer)


def told(acting: Acting, outcome: Outcome) -> Outcome:
    """Emit the event of a sign-in or of its refusal."""
    if outcome.viewer is not None:
        SIGNIN_SUCCEEDED.emit(**viewer_event_fields(outcome.viewer, acting.address_hash))
    else:
        SIGNIN_REFUSED.emit(code=str(outcome.values["code"]), address=acting.address_hash)
    return outcome


def by(acting: Acting) -> Actor:
    """Return the viewer as the actor in the audit log."""
    assert acting.till.by is not None
    return acting.till.by


def own_id(input: Any, kind: str) -> str:
    """Return the row id in an API id. An id of another type names no object of the viewer."""
    try:
        return read_id(input.id, kind, ID)
    except InvalidInput as wrong:
        raise NotFound(str(wrong), ID) from None


def subject(viewer: Viewer) -> Subject:
    if viewer.kind is ViewerKind.CLIENT:
        return Subject(viewer.practice_id, client_id=viewer.subject_id)
    return Subject(viewer.practice_id, contact_id=viewer.subject_id)


def written(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
