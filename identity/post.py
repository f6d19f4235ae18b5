"""The post: mail goes out by SMTP."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import SplitResult, unquote, urlsplit

import aiosmtplib

TIMEOUT_S = 15
SCHEMES = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True)
class Post:
    """From whom mail is, and what sends it; that raises whatever keeps it from being sent."""

    sender: str
    send: Callable[[EmailMessage], Awaitable[None]]


def by_smtp(url: str, sender: str) -> Post:
    """Through the mail server of `smtp://user:password@host:587` or `smtps://…`.

    With STARTTLS where the server offers it; a password is never sent without.
    """
    server = parsed(url)

    async def send(message: EmailMessage) -> None:
        await aiosmtplib.send(
            message,
            hostname=server.hostname,
            port=server.port or SCHEMES[server.scheme],
            username=unquote(server.username) if server.username else None,
            password=unquote(server.password) if server.password else None,
            use_tls=server.scheme == "smtps",
            start_tls=starts_tls(server),
            timeout=TIMEOUT_S,
        )

    return Post(sender, send)


def starts_tls(server: SplitResult) -> bool | None:
    """None: where it is offered."""
    if server.scheme == "smtps":
        return False
    return True if server.username else None


def parsed(url: str) -> SplitResult:
    """The parts of an SMTP server's URL; ValueError where it is none."""
    server = urlsplit(url)
    if server.scheme not in SCHEMES or not server.hostname or server.port == 0:
        raise ValueError("not an SMTP server's URL")
    if server.path not in ("", "/") or server.query or server.fragment:
        raise ValueError("more than an SMTP server's URL")
    return server
