"""The worker that answers requests for a sign-in mail, in the background."""

import asyncio
import logging
from typing import Any

from sqlalchemy import Row

from billing.background import retry_until_written
from identity.sign_in import email_message, links, outbox
from identity.sign_in.context import Door
from identity.sign_in.smtp import Post
from models.database import TransientError
from models.leases import Excluded, Lease

# A mail that takes longer is retried.
WITHIN_S = 20

log = logging.getLogger("portal.identity")


async def work(door: Door) -> int:
    """Answer the waiting requests. Return their number."""
    post = door.post
    if post is None:
        return 0

    async def claim(but: Excluded) -> Lease | None:
        return await outbox.claim(door, but)

    return await outbox.QUEUE.run(door.engine, claim, lambda one: answer(door, post, one))


async def answer(door: Door, post: Post, request: Row[Any]) -> None:
    """Send the mail of a request, or schedule a retry. A failure affects only that request."""
    if request.expires_at <= door.now():
        log.warning("sign-in request %s: no mail could be sent in time", request.id)
        await outbox.close(door, request)
        return
    try:
        async with asyncio.timeout(WITHIN_S):
            await send(door, post, request)
    except TransientError:
        raise
    except Exception as error:
        # The error's own text may contain the address.
        name = type(error).__name__
        log.warning("sign-in request %s: no mail sent (%s), it is tried again", request.id, name)
        await outbox.put_off(door, request)
    else:
        # The mail is out. If this were not written, it would be sent again.
        await retry_until_written(lambda: outbox.close(door, request))


async def send(door: Door, post: Post, request: Row[Any]) -> None:
    """Mail the links, after they are committed."""
    if letter := await links.letter(door, request):
        await post.send(email_message.mail(post.sender, letter, door.now(), door.lasts))
