"""A PostgreSQL server with TLS, and certificates made for the test."""

import datetime as dt
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support import postgres
from tests.support.demo_server import free_port
from tests.support.postgres import OPTIONS

# TCP needs TLS. The role `certified` needs a certificate, `secretive` a password.
HBA = """local all all trust
hostssl all certified 127.0.0.1/32 cert
hostssl all secretive 127.0.0.1/32 scram-sha-256
hostssl all all 127.0.0.1/32 trust
"""
PASSWORD = "p@ss:w/o?r#d% +&"


@dataclass(frozen=True)
class TlsServer:
    """The server's address, and the files of its certificates."""

    socket_folder: Path
    port: int
    # The authority that signed the server's certificate, which is for `localhost`.
    authority: Path
    # An authority that signed nothing.
    other_authority: Path
    # The certificate of the role `certified`.
    certificate: Path
    key: Path


@contextmanager
def tls_server(programs: Path, folder: Path) -> Iterator[TlsServer]:
    with postgres.started(programs, OPTIONS) as server:
        port = free_port()
        made = TlsServer(
            server.folder,
            port,
            *(folder / name for name in ("ca.crt", "other.crt", "client.crt", "client.key")),
        )
        authority, other = Authority("Portal"), Authority("Another")
        authority.write(made.authority)
        other.write(made.other_authority)
        authority.issue("certified", made.certificate, made.key)
        inside = [server.folder / name for name in ("server.crt", "server.key", "ca.crt")]
        authority.issue("localhost", inside[0], inside[1])
        authority.write(inside[2])
        (server.folder / "data" / "pg_hba.conf").write_text(HBA)
        if os.geteuid() == 0:
            for path in inside:
                shutil.chown(path, *postgres.unprivileged())
        settings = {
            "listen_addresses": "127.0.0.1",
            "ssl": "on",
            "ssl_cert_file": inside[0],
            "ssl_key_file": inside[1],
            "ssl_ca_file": inside[2],
        }
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        server.control(f"""restart -m fast -o "-k '$2' -p {port} -F {options}" """)
        yield made


class Authority:
    """A certificate authority."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = named(name)
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = (
            certificate(self.name, self.name, self.key.public_key())
            .add_extension(constraints, critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def write(self, path: Path) -> None:
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, path: Path, key_path: Path) -> None:
        """Write a certificate for a name, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        issued = (
            certificate(named(name), self.name, key.public_key())
            .add_extension(names, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        path.write_bytes(issued.public_bytes(serialization.Encoding.PEM))
        key_path.touch(0o600)
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    """Return a certificate without its extensions, valid for a day."""
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )
