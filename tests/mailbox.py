"""A mail server of the tests' own, which speaks SMTP and keeps what it is sent."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from tests.demo import free_port

SENDER = "Harbor billing <no-reply@harbor.example>"
USER, PASSWORD = "portal", "a password: with/odd@signs"


class Mailbox:
    """What was taken, the oldest first. `refusals`: how many it refuses before it takes one."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.refusals = self.refused = 0
        self.passwords: list[str] = []
        # Addresses that it never takes a mail for, and those that it was asked to.
        self.closed: set[str] = set()
        # Addresses whose mail it takes no sooner than it is told to, and how many it holds now.
        self.held: set[str] = set()
        self.holding = 0
        self.turned_away: list[str] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def refuse_to(self, email: str) -> list[str]:
        """Refuse all mail to an address from now on; return the list of what was refused."""
        self.closed.add(email)
        return self.turned_away

    async def handle_DATA(self, _: Any, __: Session, envelope: Envelope) -> str:  # noqa: N802 (SMTP's)
        if self.refused < self.refusals:
            self.refused += 1
            return "451 4.3.0 try again later"
        if closed := self.closed & set(envelope.rcpt_tos):
            self.turned_away += closed
            return "550 5.1.1 no such mailbox"
        if self.held & set(envelope.rcpt_tos):
            self.holding += 1
            while self.held & set(envelope.rcpt_tos):  # noqa: ASYNC110 (another thread's)
                await asyncio.sleep(0.02)
            self.holding -= 1
        content = envelope.content
        assert isinstance(content, bytes)
        letter = message_from_bytes(content, policy=policy.default)
        assert isinstance(letter, EmailMessage)
        assert envelope.rcpt_tos == [letter["To"].addresses[0].addr_spec]
        self.letters.append(letter)
        return "250 OK"

    def authenticated(self, _: Any, __: Session, ___: Envelope, ____: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.passwords.append(data.password.decode())
        return AuthResult(success=data.password.decode() == PASSWORD, handled=False)

    def text(self, number: int = -1) -> str:
        """What a letter says."""
        content: str = self.letters[number].get_content()
        return content


@contextmanager
def mail_server(
    port: int | None = None, *, tls: ssl.SSLContext | None = None, wants_password: bool = False
) -> Iterator[Mailbox]:
    """Listens while the test runs; with `tls` it offers STARTTLS."""
    mailbox = Mailbox()
    mailbox.port = port or free_port()
    options: dict[str, Any] = {}
    if wants_password:
        options = {"auth_required": True, "auth_require_tls": tls is not None}
        options["authenticator"] = mailbox.authenticated
    server = Controller(
        mailbox, hostname="127.0.0.1", port=mailbox.port, tls_context=tls, **options
    )
    server.start()
    try:
        yield mailbox
    finally:
        server.stop()
