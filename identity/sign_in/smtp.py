"""The mail service: mail is sent by SMTP."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from urllib.parse import SplitResult, unquote, urlsplit

import aiosmtplib

from billing.public_urls import is_this_machine

TIMEOUT_S = 15
SCHEMES = {"smtp": 587, "smtps": 465, "smtp+plain": 25}


class NotOneRecipient(Exception):
    """A mail without exactly one recipient. The message has no details, which could be personal."""


@dataclass(frozen=True)
class Post:
    """The sender of mail, and the function that sends it. It raises any error of sending."""

    sender: str
    send: Callable[[EmailMessage], Awaitable[None]]


def is_sender(text: str) -> bool:
    """Return whether the text is a valid sender: one address, with or without a name."""
    try:
        headers = EmailMessage(policy.SMTP)
        headers["From"] = text
        (address,) = headers["From"].addresses
    except (ValueError, IndexError):
        return False
    return bool(address.username and address.domain) and not headers["From"].defects


def smtp_service(url: str, sender: str) -> Post:
    """Return the mail service for the server `smtp://user:password@host:587` or `smtps://…`.

    The links in a mail sign in, so a mail goes to one address, and by TLS. `smtp://` uses STARTTLS,
    and a server that does not offer it gets no mail. A server on this machine may do without TLS;
    any other one needs the explicit scheme `smtp+plain://…`.
    """
    server = parse_url(url)

    async def send(message: EmailMessage) -> None:
        to = recipient(message)
        async with smtp_client(server) as client:
            await client.send_message(message, recipients=[to])

    return Post(sender, send)


@dataclass(frozen=True)
class MailLogin:
    """A connection to the mail server that was tried out."""

    host: str
    is_encrypted: bool
    is_logged_in: bool


async def try_login(url: str) -> MailLogin:
    """Connect to the mail server as for a mail, and send none. Raise any error of aiosmtplib."""
    server = parse_url(url)
    async with smtp_client(server) as client:
        await client.noop()
        is_encrypted = client.get_transport_info("sslcontext") is not None
    return MailLogin(server.hostname or "", is_encrypted, server.username is not None)


def smtp_client(server: SplitResult) -> aiosmtplib.SMTP:
    """Return a client that connects, encrypts and logs in when it is entered."""
    return aiosmtplib.SMTP(
        hostname=server.hostname,
        port=server.port or SCHEMES[server.scheme],
        username=unquote(server.username) if server.username else None,
        password=unquote(server.password) if server.password else None,
        use_tls=server.scheme == "smtps",
        start_tls=starts_tls(server),
        timeout=TIMEOUT_S,
    )


def recipient(message: EmailMessage) -> str:
    """Return the only recipient of a mail, from its header To. Raise NotOneRecipient otherwise."""
    header = message["To"]
    groups = header.groups if header is not None else ()
    addresses = [address for group in groups for address in group.addresses]
    others = [name for name in ("Cc", "Bcc", "Resent-To") if message[name] is not None]
    if len(addresses) != 1 or len(groups) != 1 or others or header.defects:
        raise NotOneRecipient
    (address,) = addresses
    if not (address.username and address.domain):
        raise NotOneRecipient
    return str(address.addr_spec)


def starts_tls(server: SplitResult) -> bool | None:
    """Return whether STARTTLS is used; None means only if the server offers it."""
    if server.scheme == "smtp":
        is_needed = server.username or not is_this_machine(server.hostname or "")
        return True if is_needed else None
    return None if server.scheme == "smtp+plain" else False


def parse_url(url: str) -> SplitResult:
    """Return the parts of an SMTP server's URL. Raise ValueError for any other text."""
    server = urlsplit(url)
    if server.scheme not in SCHEMES or not server.hostname or server.port == 0:
        raise ValueError("not an SMTP server's URL")
    if server.scheme == "smtp+plain" and server.username:
        raise ValueError("a password, and no TLS to send it by")
    if server.path not in ("", "/") or server.query or server.fragment:
        raise ValueError("more than an SMTP server's URL")
    return server
