"""Mail over SMTP to the tests' own server: TLS, passwords, and invalid URLs."""

import datetime as dt
import ssl
from email import policy
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import quote

import aiosmtplib
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from billing.public_urls import is_this_machine
from identity.sign_in import email_message
from identity.sign_in.links import Letter, Link
from identity.sign_in.smtp import NotOneRecipient, smtp_service, try_login
from tests.support.mail_server import PASSWORD, SENDER, USER, Mailbox, mail_server

MINUTE = dt.timedelta(minutes=1)
NOON = dt.datetime(2026, 3, 15, 12, tzinfo=dt.UTC)


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Return a server certificate for 127.0.0.1 that this machine trusts."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]),
    )
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - MINUTE)
        .not_valid_after(now + 60 * MINUTE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path, key_path = tmp_path / "certificate.pem", tmp_path / "key.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return context


def mail() -> EmailMessage:
    link = Link("Harbor", "https://harbor.example/#/sign-in/x", "123456")
    return email_message.mail(SENDER, Letter("ana@example.com", [link]), NOON, 30 * MINUTE)


def with_password(mailbox: Mailbox, password: str = PASSWORD) -> str:
    return f"smtp://{USER}:{quote(password, safe='')}@localhost:{mailbox.port}"


async def test_password_is_sent_after_starttls(certified: ssl.SSLContext) -> None:
    with mail_server(tls=certified, wants_password=True) as mailbox:
        post = smtp_service(with_password(mailbox), SENDER)
        await post.send(mail())
    assert mailbox.passwords == [PASSWORD]
    assert len(mailbox.letters) == 1


async def test_server_without_a_trusted_certificate_gets_no_mail(
    certified: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with mail_server(tls=certified, wants_password=True) as mailbox:
        post = smtp_service(with_password(mailbox), SENDER)
        with pytest.raises(Exception, match=r"certificate|CERTIFICATE"):
            await post.send(mail())
    assert (mailbox.passwords, mailbox.letters) == ([], [])


async def test_remote_server_needs_tls_unless_configured_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server on this machine is reached without a network, and needs no TLS."""
    with mail_server() as mailbox:
        await smtp_service(mailbox.url, SENDER).send(mail())
        assert len(mailbox.letters) == 1
        monkeypatch.setattr("identity.sign_in.smtp.is_this_machine", lambda _: False)
        with pytest.raises(Exception, match="STARTTLS"):
            await smtp_service(mailbox.url, SENDER).send(mail())
        assert len(mailbox.letters) == 1
        plain = mailbox.url.replace("smtp://", "smtp+plain://")
        await smtp_service(plain, SENDER).send(mail())
    assert len(mailbox.letters) == 2


@pytest.mark.parametrize(
    ("host", "is_it"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True),
     ("mail.localhost", True), ("mail.example", False), ("10.0.0.1", False),
     ("localhost.example", False)],
)  # fmt: skip
def test_local_hosts_are_recognised(host: str, is_it: bool) -> None:
    assert is_this_machine(host) is is_it


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"To": "ana@example.com, evil@example.com"},
        {"To": "ana@example.com, evil@example.com (a, b)"},
        {"To": "Ana <ana@example.com>, <evil@example.com>"},
        {"To": "friends: ana@example.com, evil@example.com;"},
        {"To": "undisclosed-recipients:;"},
        {"To": "ana@example.com", "Cc": "evil@example.com"},
        {"To": "ana@example.com", "Bcc": "evil@example.com"},
        {"To": "ana@example.com", "Resent-To": "evil@example.com"},
        {"To": "ana@example.com evil@example.com"},
        {"To": "ana"},
        {"To": ""},
    ],
)
async def test_mail_without_exactly_one_recipient_is_not_sent(headers: dict[str, str]) -> None:
    message = EmailMessage(policy.SMTP)
    for name, value in headers.items():
        message[name] = value
    message["From"] = SENDER
    message.set_content("a link")
    with mail_server() as mailbox, pytest.raises(NotOneRecipient):
        await smtp_service(mailbox.url, SENDER).send(message)
    assert mailbox.letters == []


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
async def test_password_is_never_sent_without_tls() -> None:
    with mail_server(wants_password=True) as mailbox:
        post = smtp_service(with_password(mailbox), SENDER)
        with pytest.raises(Exception, match="STARTTLS"):
            await post.send(mail())
    assert (mailbox.passwords, mailbox.letters) == ([], [])


async def test_login_is_tried_without_a_mail(certified: ssl.SSLContext) -> None:
    with mail_server(tls=certified, wants_password=True) as mailbox:
        login = await try_login(with_password(mailbox))
        assert (login.is_encrypted, login.is_logged_in) == (True, True)
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await try_login(with_password(mailbox, "wrong"))
    # The second login may try several methods.
    assert (set(mailbox.passwords), mailbox.letters) == ({PASSWORD, "wrong"}, [])


async def test_wrong_password_is_refused(certified: ssl.SSLContext) -> None:
    with mail_server(tls=certified, wants_password=True) as mailbox:
        post = smtp_service(with_password(mailbox, "wrong"), SENDER)
        with pytest.raises(Exception, match="535"):
            await post.send(mail())
    assert mailbox.letters == []


@pytest.mark.parametrize(
    "url",
    ["", "mail.example", "http://mail.example", "smtp://", "smtp://h:0", "smtp://h:99999",
     "smtp://h/path", "smtp://h:x", "smtp://h?x=1", "smtp+plain://user:password@h"],
)  # fmt: skip
def test_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        smtp_service(url, SENDER)
