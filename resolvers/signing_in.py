"""The mutations of signing in and out: what is asked, one call, and what it came to."""

import datetime as dt
from typing import Any

from billing.refusals import InvalidInput, NotFound
from identity import entering, requesting
from identity.tokens import Subject
from models import ViewerKind
from resolvers.outcomes import Acting, Outcome, read_id, refusable
from resolvers.viewer import Viewer

ID = ("input", "id")


async def request(acting: Acting, input: Any) -> Outcome:
    """Asks for a mail with links."""
    asked = await requesting.request(acting.door, input.email, acting.address_hash, acting.now)
    values = {"nonce": asked.nonce, "expires_at": written(asked.expires_at)}
    return Outcome("RequestSignInLinkPayload", values)


async def sign_in(acting: Acting, input: Any) -> Outcome:
    """Signs in with a link."""
    return await refusable(lambda: signed_in(acting, input))


async def sign_out(acting: Acting) -> Outcome:
    """Ends the sign-in that asks."""
    own = acting.viewer.practice_id, acting.viewer.token_id
    is_over = await entering.sign_out(acting.door, *own, acting.now)
    return Outcome("SignOutPayload", {"signed_out": is_over})


async def revoke(acting: Acting, input: Any) -> Outcome:
    """Ends another sign-in of the viewer's."""
    return await refusable(lambda: revoked(acting, input))


async def signed_in(acting: Acting, input: Any) -> Outcome:
    link = input.secret, input.nonce
    token = await entering.sign_in(acting.door, *link, acting.address_hash, acting.now)
    viewer = await acting.recognise(token, acting.now)
    assert viewer is not None
    values = {"token": token, "expires_at": written(viewer.expires_at)}
    return Outcome("SignedIn", values, viewer)


async def revoked(acting: Acting, input: Any) -> Outcome:
    try:
        token_id = read_id(input.id, "sgn", ID)
    except InvalidInput as wrong:
        raise NotFound(str(wrong), ID) from None
    await entering.revoke(acting.door, subject(acting.viewer), token_id, acting.now)
    return Outcome("SignInRevoked")


def subject(viewer: Viewer) -> Subject:
    if viewer.kind is ViewerKind.CLIENT:
        return Subject(viewer.practice_id, client_id=viewer.subject_id)
    return Subject(viewer.practice_id, contact_id=viewer.subject_id)


def written(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
