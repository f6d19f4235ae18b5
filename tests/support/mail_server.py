"""Mail server of the tests, which speaks SMTP and keeps the mails."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from tests.support.demo_server import free_port

SENDER = "Harbor billing <no-reply@harbor.example>"
USER, PASSWORD = "portal", "a password: with/odd@signs"


class Mailbox:
    """Received mails, the oldest first. `refusals` is the number of mails to refuse first."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.refusals = self.refused = 0
        self.passwords: list[str] = []
        # Addresses whose mails are always refused.
        self.closed: set[str] = set()
        # Addresses whose mails are held until the test releases them, and the number held now.
        self.held: set[str] = set()
        self.holding = 0
        self.turned_away: list[str] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def refuse_to(self, email: str) -> list[str]:
        """Refuse all mail to an address from now on, and return the list of refusals."""
        self.closed.add(email)
        return self.turned_away

    async def handle_DATA(self, _: Any, __: Session, envelope: Envelope) -> str:  # noqa: N802 (named by aiosmtpd)
        if self.refused < self.refusals:
            self.refused += 1
            return "451 4.3.0 try again later"
        if closed := self.closed & set(envelope.rcpt_tos):
            self.turned_away += closed
            return "550 5.1.1 no such mailbox"
        if self.held & set(envelope.rcpt_tos):
            self.holding += 1
            while self.held & set(envelope.rcpt_tos):  # noqa: ASYNC110 (set by another thread)
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
        """Return the text of a mail."""
        content: str = self.letters[number].get_content()
        return content


@contextmanager
def mail_server(
    port: int | None = None, *, tls: ssl.SSLContext | None = None, wants_password: bool = False
) -> Iterator[Mailbox]:
    """Run the mail server while the context lasts; with `tls` it offers STARTTLS."""
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
