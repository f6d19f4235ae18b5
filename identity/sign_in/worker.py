"""The worker that answers requests for a sign-in mail, in the background."""

import asyncio
import logging
from typing import Any

from sqlalchemy import Row

from billing.background import retry_until_written
from identity.sign_in import email_message, links, outbox
from identity.sign_in.context import SignInContext
from identity.sign_in.smtp import Post
from models.database import TransientError
from models.leases import Excluded, Lease

# A mail that takes longer is retried.
WITHIN_S = 20

log = logging.getLogger("portal.identity")


async def answer_waiting(context: SignInContext) -> int:
    """Answer the waiting requests. Return their number."""
    post = context.post
    if post is None:
        return 0

    async def claim(but: Excluded) -> Lease | None:
        return await outbox.claim_request(context, but)

    return await outbox.QUEUE.run(context.engine, claim, lambda one: answer(context, post, one))


async def answer(context: SignInContext, post: Post, request: Row[Any]) -> None:
    """Send the mail of a request, or schedule a retry. A failure affects only that request."""
    if request.expires_at <= context.now():
        log.warning("sign-in request %s: no mail could be sent in time", request.id)
        await outbox.complete_request(context, request)
        return
    try:
        async with asyncio.timeout(WITHIN_S):
            await send_links(context, post, request)
    except TransientError:
        raise
    except Exception as error:
        # The error's own text may contain the address.
        name = type(error).__name__
        log.warning("sign-in request %s: no mail sent (%s), it is tried again", request.id, name)
        await outbox.schedule_retry(context, request)
    else:
        # The mail is out. If this were not written, it would be sent again.
        await retry_until_written(lambda: outbox.complete_request(context, request))


async def send_links(context: SignInContext, post: Post, request: Row[Any]) -> None:
    """Mail the links, after they are committed."""
    if letter := await links.letter(context, request):
        await post.send(email_message.mail(post.sender, letter, context.now(), context.lasts))
