"""Requests for a link are answered by mail, beside the requests of pages."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from identity import linking, outbox
from identity.door import Door
from identity.letters import letter
from identity.linking import Link
from identity.post import Post
from models.database import DatabaseUnavailable
from models.leases import Excluded

# A mail that takes longer is tried again.
WITHIN_S = 20

log = logging.getLogger("portal.identity")


async def work(door: Door) -> int:
    """Answer the requests that wait; return how many there were."""
    post = door.post
    if post is None:
        return 0

    async def claim(but: Excluded) -> Row[Any] | None:
        return await outbox.claim(door, but)

    return await outbox.QUEUE.run(door.engine, claim, lambda one: answer(door, post, one))


async def answer(door: Door, post: Post, request: Row[Any]) -> None:
    try:
        async with asyncio.timeout(WITHIN_S):
            await mailed(door, post, request)
    except DatabaseUnavailable:
        raise
    except Exception as error:
        # The error's own text may have the address in it.
        name = type(error).__name__
        log.warning("sign-in request %s: no mail sent (%s), it is tried again", request.id, name)
        await outbox.put_off(door, request)
    else:
        await outbox.close(door, request)


async def mailed(door: Door, post: Post, request: Row[Any]) -> None:
    """Sends the links to whom the address is of, after they are committed."""
    links = await linking.links(door, request)
    for mailbox in mailboxes(links):
        await post.send(letter(post.sender, mailbox, door.now()))


def mailboxes(links: Sequence[Link]) -> list[list[Link]]:
    """One, with all links, but where the database takes two letters for one: only ASCII's small and
    capital letters are the same to a mail server."""
    found: dict[bytes, list[Link]] = {}
    for link in links:
        found.setdefault(link.email.encode().lower(), []).append(link)
    return list(found.values())
