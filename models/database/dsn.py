"""The database's URL, read in one place for reads, writes and migrations.

A URL of PostgreSQL has libpq's form and libpq's parameters. A parameter that could not be kept to
is refused, rather than left out: `channel_binding=require`, for instance.
"""

import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlencode

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

BACKENDS = {"postgres": "postgresql", "postgresql": "postgresql", "sqlite": "sqlite"}
DEFAULT_PORT = 5432
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
VERIFYING = ("verify-ca", "verify-full")
PROTOCOLS = ("TLSv1.2", "TLSv1.3")
# The certificate authorities of the operating system.
SYSTEM = "system"
UNENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})|[#\s\x00-\x1f\x7f]")
ENCODED = "in the user and the password : / ? # @ % are percent-encoded, as %3A"
HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:@]*)(?::([^:]*))?")

# A name, an address, or the folder of a socket; and the port.
Host: TypeAlias = tuple[str, int]


class WrongUrl(ValueError):
    """A URL that cannot be used. The text says why, without the URL's user and password."""


def backend_name(url: str) -> str:
    """Return `postgresql` or `sqlite`."""
    scheme, separator, _ = url.partition("://")
    name = BACKENDS.get(scheme.partition("+")[0])
    if not separator or name is None:
        raise WrongUrl("begins with neither postgresql:// nor sqlite:///")
    return name


def sqlite_path(url: str) -> str:
    """Return the path of an SQLite file."""
    try:
        path = make_url(url).database
    except ArgumentError:
        raise WrongUrl("is not a URL") from None
    if path in (None, "", ":memory:"):
        raise WrongUrl("names no file, and SQLite is used with a file only")
    return path


def check_url(url: str) -> None:
    """Raise WrongUrl, where connections could not be opened as the URL says."""
    if backend_name(url) == "sqlite":
        sqlite_path(url)
    else:
        Dsn.of(url).arguments()


# -- values of parameters --------------------------------------------------------------------------


def choice_parameter(*values: str) -> Callable[[str, str], str]:
    """Return a reader of a parameter with these values."""

    def read(name: str, value: str) -> str:
        if value not in values:
            raise WrongUrl(f"has a {name} that is none of {', '.join(values)}")
        return value

    return read


def limited_parameter(*values: str, why: str) -> Callable[[str, str], str]:
    """Return a reader of a parameter, some of whose values the driver cannot keep to."""

    def read(name: str, value: str) -> str:
        if value not in values:
            raise WrongUrl(f"has {name}={value}, but {why}: it may be {' or '.join(values)}")
        return value

    return read


def text_parameter(_: str, value: str) -> str:
    return value


def file_parameter(name: str, value: str) -> str:
    if not os.access(value, os.R_OK) or not Path(value).is_file():
        raise WrongUrl(f"has a {name} that is no file to be read: {value}")
    return value


def authorities(name: str, value: str) -> str:
    return value if value == SYSTEM else file_parameter(name, value)


def seconds(name: str, value: str) -> str:
    if not re.fullmatch(r"[0-9]{1,4}", value, re.ASCII):
        raise WrongUrl(f"has a {name} that is no number of seconds")
    return value


PLACES: dict[str, Callable[[str, str], str]] = dict.fromkeys(
    ("host", "port", "user", "password", "dbname"), text_parameter
)
TLS: dict[str, Callable[[str, str], str]] = {
    "sslmode": choice_parameter(*SSL_MODES),
    "sslnegotiation": choice_parameter("postgres", "direct"),
    "sslrootcert": authorities,
    "sslcert": file_parameter,
    "sslkey": file_parameter,
    "sslpassword": text_parameter,
    "sslcrl": file_parameter,
    "ssl_min_protocol_version": choice_parameter(*PROTOCOLS),
    "ssl_max_protocol_version": choice_parameter(*PROTOCOLS),
}
PARAMETERS = (
    PLACES
    | TLS
    | {
        "passfile": file_parameter,
        "application_name": text_parameter,
        "options": text_parameter,
        "connect_timeout": seconds,
        "target_session_attrs": limited_parameter(
            "any", "read-write", "primary", why="the portal writes"
        ),
        "channel_binding": limited_parameter(
            "disable",
            "prefer",
            why="the driver binds no channels; sslmode=verify-full protects too",
        ),
        "gssencmode": limited_parameter("disable", "prefer", why="the driver encrypts by TLS only"),
    }
)
# Names that other programs know, and what stands for them here.
ELSEWHERE = {
    "ssl": "sslmode=require",
    "sslaccept": "sslmode=require",
    "database": "dbname",
    "schema": "options=-csearch_path%3D…",
}


# -- the URL ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dsn:
    """Where a PostgreSQL server is, and how connections to it are opened."""

    # No host: the driver's own default, which PGHOST names or a socket is.
    hosts: tuple[Host, ...]
    user: str | None
    password: str | None = field(repr=False)
    database: str | None
    parameters: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, url: str) -> "Dsn":
        """Read a URL; WrongUrl, where it is not as libpq has it."""
        if backend_name(url) != "postgresql":
            raise WrongUrl("is not a URL of PostgreSQL")
        if UNENCODED.search(url):
            raise WrongUrl(f"has a #, a % or a blank where none can be: {ENCODED}")
        rest, _, query = url.partition("://")[2].partition("?")
        authority, _, path = rest.partition("/")
        if "@" in path + query or authority.count("@") > 1:
            raise WrongUrl(f"has an @ where none can be: {ENCODED}")
        credentials, _, places = authority.rpartition("@")
        user, _, password = credentials.partition(":")
        found = {"user": user, "password": password, "dbname": path}
        given = {name: percent_decoded(value) for name, value in found.items() if value}
        hosts = list(named_hosts(places)) if places else []
        for name, value in parameters(query):
            if name in given or (name in ("host", "port") and hosts):
                raise WrongUrl(f"has {name} twice")
            given[name] = value
        return cls(
            tuple(hosts or listed_hosts(given.get("host", ""), given.get("port", ""))),
            given.get("user"),
            given.get("password"),
            given.get("dbname"),
            {name: value for name, value in given.items() if name not in PLACES},
        )

    def arguments(self, *, of_replica: bool = False) -> dict[str, Any]:
        """Return what asyncpg is called with, but for the host and the port."""
        given = self.parameters
        settings = {name: given[name] for name in ("application_name", "options") if name in given}
        # A standby is behind, and takes no changes.
        target = "read-write" if given.get("target_session_attrs") == "read-write" else "primary"
        return {
            "user": self.user,
            "password": self.password,
            "database": self.database,
            "passfile": given.get("passfile"),
            "server_settings": {"application_name": "portal"} | settings,
            "target_session_attrs": "standby" if of_replica else target,
            **self.tls(),
        }

    def tls(self) -> dict[str, Any]:
        """Return asyncpg's arguments for TLS; it reads the files that the parameters name."""
        given = {name: value for name, value in self.parameters.items() if name in TLS}
        mode = given.get("sslmode")
        if given.get("sslrootcert") == SYSTEM:
            return {"ssl": trusting_the_system(given)}
        if mode in VERIFYING and not ("sslrootcert" in given or has_authorities()):
            raise WrongUrl("verifies the server's certificate, but has no sslrootcert")
        if given.get("sslnegotiation") == "direct" and mode not in ("require", *VERIFYING):
            raise WrongUrl("has sslnegotiation=direct, which needs sslmode=require or more")
        return {"dsn": f"postgresql://?{urlencode(given)}"} if given else {}

    @property
    def connect_timeout_s(self) -> float | None:
        """Return how long one host may take; None, where the URL does not say."""
        given = int(self.parameters.get("connect_timeout", "0"))
        return float(given) or None


def percent_decoded(value: str) -> str:
    try:
        found = unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise WrongUrl("has percent-encoded bytes that are not UTF-8") from None
    if "\0" in found:
        raise WrongUrl("has a NUL")
    return found


def parameters(query: str) -> Iterator[tuple[str, str]]:
    """Yield the parameters that follow the question mark."""
    for pair in filter(None, query.split("&")):
        name, separator, value = pair.partition("=")
        if name not in PARAMETERS:
            raise WrongUrl(unsupported_parameter(name))
        if not separator:
            raise WrongUrl(f"has {name} without a value")
        yield name, PARAMETERS[name](name, percent_decoded(value))


def unsupported_parameter(name: str) -> str:
    """Return the sentence about a parameter that is not taken."""
    # Part of a password may stand where a name should.
    if not re.fullmatch(r"[A-Za-z_]{1,40}", name):
        return "has a parameter whose name is not made of letters"
    instead = f": write {ELSEWHERE[name]}" if name in ELSEWHERE else ""
    return f"has the parameter {name}, which is not one of libpq's that can be kept to{instead}"


def named_hosts(places: str) -> Iterator[Host]:
    """Yield the hosts that stand before the path, each with its port."""
    for place in places.split(","):
        match = HOST.fullmatch(place)
        if match is None:
            raise WrongUrl(f"has a host that is none: {ENCODED}")
        name = percent_decoded(match[1].strip("[]"))
        yield name or "localhost", port(match[2] or str(DEFAULT_PORT))


def listed_hosts(names: str, ports: str) -> Iterator[Host]:
    """Yield the hosts of the parameters `host` and `port`; one port may stand for all."""
    hosts = names.split(",") if names else ["localhost"] if ports else []
    numbers = [port(number or str(DEFAULT_PORT)) for number in ports.split(",")]
    if len(numbers) == 1:
        numbers *= len(hosts)
    if len(numbers) != len(hosts):
        raise WrongUrl(f"has {len(numbers)} ports for {len(hosts)} hosts")
    return iter(
        [(name or "localhost", number) for name, number in zip(hosts, numbers, strict=True)]
    )


def port(number: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", number, re.ASCII) or not 0 < int(number) < 2**16:
        # Not quoted: where a password is not encoded, a part of it stands here.
        raise WrongUrl(f"has a port that is no number from 1 to 65535: {ENCODED}")
    return int(number)


def trusting_the_system(given: Mapping[str, str]) -> ssl.SSLContext:
    """Return a context that trusts the operating system's certificate authorities."""
    if given.get("sslmode", "verify-full") != "verify-full":
        raise WrongUrl("has sslrootcert=system, which needs sslmode=verify-full")
    if others := given.keys() - {"sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword"}:
        raise WrongUrl(f"has sslrootcert=system, beside which {min(others)} is not taken")
    context = ssl.create_default_context()
    if "sslcert" in given:
        secret = given.get("sslpassword", "")
        context.load_cert_chain(given["sslcert"], given.get("sslkey"), lambda: secret)
    return context


def has_authorities() -> bool:
    """Return whether libpq's own places name certificate authorities."""
    named = os.environ.get("PGSSLROOTCERT")
    return bool(named) or (Path.home() / ".postgresql" / "root.crt").exists()
