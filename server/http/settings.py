"""The settings of the HTTP server."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

from billing.public_urls import parse_public_url
from server.http.addresses import parse_host, parse_origin
from server.http.connections import ConnectionLimits
from server.http.proxies import Proxies, parse_proxies


def between_commas(value: object) -> object:
    """Return the parts of a setting with several values."""
    if not isinstance(value, str):
        return value
    return [part.strip().rstrip("/") for part in value.split(",") if part.strip()]


class HttpSettings(BaseSettings):
    """Settings for clients, browsers and proxies. `server/settings.py` has the other settings."""

    public_url: str = Field(
        default="http://127.0.0.1:8000",
        description="The address at which browsers reach this server, such as"
        " `https://api.example.com`. Links to documents begin with it. `http://` is only allowed"
        " on this machine, and never with a live key. With `https://` browsers are told to use"
        " nothing else (HSTS).",
    )
    allowed_origins: Annotated[list[str], NoDecode] = Field(
        default=[],
        description="Origins of pages that may send requests from a browser, separated by commas:"
        " `https://portal.example.com`.",
    )
    allowed_hosts: Annotated[list[str], NoDecode] = Field(
        default=["*"],
        description="Host names that the server answers to, separated by commas and without ports:"
        " `api.example.com`, `*.example.com`, or `*` for any.",
    )
    forwarded_allow_ips: Annotated[list[str], NoDecode] = Field(
        default=["127.0.0.1", "::1"],
        description="Addresses or networks of the proxies in front, separated by commas. The last"
        " address in `X-Forwarded-For` that is not one of them is the client's. With `*` every"
        " connection counts as a proxy's, and only the last entry is trusted.",
    )
    http_connections: int = Field(
        default=1_000,
        ge=10,
        le=100_000,
        description="The number of open connections of clients, in each process. When all are"
        " taken, a new one replaces the one that has waited longest without a complete request.",
    )
    http_connections_per_address: int = Field(
        default=200,
        ge=1,
        le=100_000,
        description="The number of connections of one network address (IPv6: of its /64), in each"
        " process. Proxies are not limited.",
    )
    headers_timeout_s: float = Field(
        default=10,
        gt=0,
        le=600,
        description="Seconds within which the headers of a request have to arrive.",
    )
    body_timeout_s: float = Field(
        default=30,
        gt=0,
        le=600,
        description="Seconds within which the body of a request has to arrive.",
    )
    send_timeout_s: float = Field(
        default=30,
        gt=0,
        le=600,
        description="Seconds after which a client that receives nothing of its response is"
        " disconnected.",
    )
    keep_alive_s: int = Field(
        default=75,
        ge=1,
        le=3_600,
        description="Seconds that a connection stays open between two requests. They must exceed"
        " the keep-alive time of the proxy in front.",
    )

    @field_validator("allowed_origins", "allowed_hosts", "forwarded_allow_ips", mode="before")
    @classmethod
    def lists(cls, value: object) -> object:
        return between_commas(value)

    @field_validator("allowed_origins")
    @classmethod
    def origins(cls, value: list[str]) -> list[str]:
        return [parse_origin(part) for part in value]

    @field_validator("allowed_hosts")
    @classmethod
    def hosts(cls, value: list[str]) -> list[str]:
        return [parse_host(part) for part in value]

    @field_validator("forwarded_allow_ips")
    @classmethod
    def addresses_of_proxies(cls, value: list[str]) -> list[str]:
        parse_proxies(value)
        return value

    @field_validator("public_url")
    @classmethod
    def an_address(cls, value: str) -> str:
        return parse_public_url(value)

    @property
    def proxies(self) -> Proxies:
        """Return the proxies that are trusted to name their clients' addresses."""
        return parse_proxies(self.forwarded_allow_ips)

    @property
    def connection_limits(self) -> ConnectionLimits:
        """Return the limits of connections and of their waiting times."""
        return ConnectionLimits(
            connections=self.http_connections,
            per_address=self.http_connections_per_address,
            head_s=self.headers_timeout_s,
            body_s=self.body_timeout_s,
            send_s=self.send_timeout_s,
            keep_alive_s=self.keep_alive_s,
            proxies=self.proxies,
        )
