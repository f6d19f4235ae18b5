"""The mutations of signing in and out: each reads its input and makes one call."""

import datetime as dt

from billing.audit_log import Actor
from billing.errors import (
    InvalidInputError,
    NotFoundError,
    SignInCodeInvalidError,
    SignInLinkInvalidError,
    UserError,
)
from billing.security_events import (
    SIGNIN_ENDED,
    SIGNIN_REFUSED,
    SIGNIN_REQUESTED,
    SIGNIN_SUCCEEDED,
    SIGNIN_SWITCHED,
    TOKEN_REVOKED,
)
from identity.sign_in import complete
from identity.sign_in import request as sign_in_request
from identity.sign_in import sign_out as sign_in_end
from identity.sign_in import switch as sign_in_switch
from identity.tokens import Subject
from identity.viewer import Viewer
from identity.viewer_events import viewer_event_fields
from models import ViewerKind
from resolvers.mutations.inputs import AddressChoice, CodeProof, IdChoice, LinkProof
from resolvers.mutations.result import MutationContext, Outcome, catch_user_errors, read_id

ID = ("input", "id")


async def request_link(mutation: MutationContext, input: AddressChoice) -> Outcome:
    """Request a mail with links."""
    made = await sign_in_request.request_mail(
        mutation.sign_in_context, input.email, mutation.address_hash, mutation.now
    )
    SIGNIN_REQUESTED.emit(address=mutation.address_hash)
    values = {"nonce": made.nonce, "expires_at": rfc3339_text(made.expires_at)}
    if made.next_mail_at is not None:
        values["next_mail_at"] = rfc3339_text(made.next_mail_at)
    return Outcome("RequestSignInLinkPayload", values)


async def sign_in(mutation: MutationContext, input: LinkProof) -> Outcome:
    """Sign in with a link."""

    async def done() -> Outcome:
        token = await complete.complete_by_link(
            mutation.sign_in_context, input.secret, input.nonce, mutation.now, mutation.address_hash
        )
        return await signed_in(
            mutation, token, SignInLinkInvalidError(mutation.sign_in_context.lasts)
        )

    return log_result(mutation, await catch_user_errors(done))


async def sign_in_with_code(mutation: MutationContext, input: CodeProof) -> Outcome:
    """Sign in with a code."""

    async def done() -> Outcome:
        token = await complete.complete_by_code(
            mutation.sign_in_context, input.code, input.nonce, mutation.now, mutation.address_hash
        )
        return await signed_in(mutation, token, SignInCodeInvalidError(0))

    return log_result(mutation, await catch_user_errors(done))


async def sign_out(mutation: MutationContext) -> Outcome:
    """End the sign-in of the request."""
    is_over = await sign_in_end.end_session(
        mutation.sign_in_context, session_actor(mutation), mutation.now
    )
    if is_over:
        SIGNIN_ENDED.emit(**viewer_event_fields(mutation.viewer, mutation.address_hash))
    return Outcome("SignOutPayload", {"signed_out": is_over})


async def revoke_sign_in(mutation: MutationContext, input: IdChoice) -> Outcome:
    """End one of the viewer's sign-ins."""

    async def done() -> Outcome:
        viewer, token_id = mutation.viewer, own_id(input, "sgn")
        own = sign_in_end.own_sign_ins(subject_of(viewer), viewer.email)
        await sign_in_end.end_own_sign_in(
            mutation.sign_in_context, session_actor(mutation), own, token_id, mutation.now
        )
        who = viewer_event_fields(viewer, mutation.address_hash)
        TOKEN_REVOKED.emit(**who | {"token": token_id, "by": viewer.token_id})
        return Outcome("SignInRevoked")

    return await catch_user_errors(done)


async def switch_viewer(mutation: MutationContext, input: IdChoice) -> Outcome:
    """Switch the sign-in to another person with the same address."""

    async def done() -> Outcome:
        viewer, person_id = mutation.viewer, own_id(input, "idn")
        if viewer.email is None:
            raise NotFoundError("Only a sign-in can be switched.", ID)
        await sign_in_switch.switch_person(
            mutation.sign_in_context, session_actor(mutation), viewer.email, person_id, mutation.now
        )
        switched = await mutation.viewer_of_token_id(viewer.token_id, mutation.now)
        if switched is None:
            raise NotFoundError("The sign-in is over.", ID)
        SIGNIN_SWITCHED.emit(**viewer_event_fields(switched, mutation.address_hash))
        return Outcome("ViewerSwitched", viewer=switched)

    return await catch_user_errors(done)


async def signed_in(mutation: MutationContext, token: str, ended: UserError) -> Outcome:
    """Return the outcome of a sign-in. Raise `ended` if the sign-in was ended in the meantime."""
    viewer = await mutation.viewer_of_token(token, mutation.now)
    if viewer is None:
        raise ended
    values = {"token": token, "expires_at": rfc3339_text(viewer.expires_at)}
    return Outcome("SignedIn", values, viewer)


def log_result(mutation: MutationContext, outcome: Outcome) -> Outcome:
    """Emit the event of a sign-in or of its refusal."""
    if outcome.viewer is not None:
        SIGNIN_SUCCEEDED.emit(**viewer_event_fields(outcome.viewer, mutation.address_hash))
    else:
        SIGNIN_REFUSED.emit(code=str(outcome.values["code"]), address=mutation.address_hash)
    return outcome


def session_actor(mutation: MutationContext) -> Actor:
    """Return the viewer as the actor in the audit log."""
    assert mutation.payment_context.actor is not None
    return mutation.payment_context.actor


def own_id(input: IdChoice, kind: str) -> str:
    """Return the row id in an API id. An id of another type names no object of the viewer."""
    try:
        return read_id(input.id, kind, ID)
    except InvalidInputError as wrong:
        raise NotFoundError(str(wrong), ID) from None


def subject_of(viewer: Viewer) -> Subject:
    if viewer.kind is ViewerKind.CLIENT:
        return Subject(viewer.practice_id, client_id=viewer.subject_id)
    return Subject(viewer.practice_id, contact_id=viewer.subject_id)


def rfc3339_text(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
