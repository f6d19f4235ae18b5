"""What the environment sets, with server/database_settings.py and server/http/settings.py;
docs/operations.md has the same table.
"""

import datetime as dt
import re
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from billing.documents.links import Signer
from billing.encryption import FieldKeys
from billing.outbox.addresses import AddressRules
from billing.payments.status import PaymentsMode, Wallet, mode_of_key
from execution.introspection import Introspection
from execution.trusted_documents import TrustedDocumentsMode
from identity.sign_in.smtp import Post, is_sender, parse_url, smtp_service
from identity.token_keys import TokenKeys
from server.command_errors import CommandError
from server.database_settings import DatabaseSettings
from server.http.settings import HttpSettings, between_commas
from server.logs import LogFormat
from server.secret_files import SecretFiles, UnreadableSecret
from server.security_log import SecurityLog

SHORTEST_KEY = 32
WEBHOOK_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=_-]+")


class Settings(DatabaseSettings, HttpSettings):
    """Read from environment variables of the same names, in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    token_key: str = Field(
        description="Secrets of 32 characters or more for the hashes of tokens, separated by"
        " commas: the first hashes new tokens, and all are tried for old ones (`docs/upgrades.md`)."
        " With other keys all tokens stop working. For instance: `openssl rand -hex 32`.",
    )
    introspection: Introspection = Field(
        default=Introspection.VIEWERS,
        description="Access to introspection: `everyone`, `viewers` (with a token) or `nobody`.",
    )
    trusted_documents: TrustedDocumentsMode = Field(
        default=TrustedDocumentsMode.ALSO,
        description="`also`: documents are asked by id or by text. `only`: none is answered but the"
        " trusted ones (`docs/api.md`).",
    )
    trusted_documents_file: Annotated[list[str], NoDecode] = Field(
        default=[],
        description="Manifests of trusted documents, separated by commas, such as those that"
        " `portal documents manifest` or a client's build writes. The portal page has its own.",
    )
    request_timeout_s: float = Field(
        default=50,
        gt=0,
        le=600,
        description="Seconds after which a request without a response is answered 503"
        " `UNAVAILABLE`.",
    )
    shutdown_timeout_s: int = Field(
        default=10,
        ge=1,
        le=600,
        description="Seconds that a stopping process gives its requests in progress before it"
        " ends.",
    )
    answer_cache_mb: int = Field(
        default=32,
        ge=0,
        le=100_000,
        description="Megabytes for answers that are kept while their data is unchanged, in each"
        " process; `0` keeps none (`docs/architecture.md`).",
    )
    retention_years: int = Field(
        default=7,
        ge=0,
        le=100,
        description="Years for which a client's records are kept after the last entry:"
        " `portal client erase` refuses before (`docs/client-records.md`).",
    )
    stripe_api_key: SecretStr | None = Field(
        default=None,
        description="Stripe's secret key, `sk_live_…` or `sk_test_…`; without one the server starts"
        " only with `SANDBOX=true`.",
    )
    stripe_publishable_key: str | None = Field(
        default=None,
        description="Stripe's publishable key, `pk_…`, with which pages start Stripe.js.",
    )
    stripe_webhook_secret: Annotated[list[SecretStr], NoDecode] = Field(
        default=[],
        description="Secrets of Stripe's webhook signatures, `whsec_…`, separated by commas: one"
        " for each endpoint (the account's and the one for connected accounts) and,"
        " while a secret is rotated, its old one. Needed with a key.",
    )
    stripe_api_base: str | None = Field(
        default=None,
        description="Another address of Stripe's API, for tests; never with a live key.",
    )
    wallets: Annotated[list[Wallet], NoDecode] = Field(
        default=[],
        description="Wallets that the card form offers, of `apple_pay`, `google_pay` and `link`,"
        " separated by commas; all others are turned off.",
    )
    sandbox: bool = Field(
        default=False,
        description="`true`: payments go to the sandbox, where no money moves. Never with a key,"
        " nor for a practice with another account than the sandbox's, `acct_sandbox…`.",
    )
    sandbox_file: str = Field(
        default="sandbox.sqlite", description="File in which the sandbox stores its objects."
    )

    webhook_private_addresses: bool = Field(
        default=False,
        description="`true`: the endpoints of webhooks may have private addresses, for systems in"
        " this server's own network.",
    )

    portal_page: bool = Field(
        default=False,
        description="`true`: the portal page is served too, at `/portal/`; the same as `portal"
        " serve --page`.",
    )

    smtp_url: SecretStr | None = Field(
        default=None,
        description="Mail server for sign-in mails: `smtp://user:password@host:587`, with STARTTLS,"
        " which is optional only on this machine, or `smtps://…`; `smtp+plain://host:25`"
        " sends them without encryption. Without a mail server nobody can sign in by"
        " e-mail.",
    )
    mail_from: str | None = Field(
        default=None,
        description="Sender of those mails, such as `Billing <no-reply@example.com>`: needed with a"
        " mail server.",
    )

    sign_in_minutes: int = Field(
        default=30,
        ge=10,
        le=240,
        description="Minutes for which the link and the code of a sign-in mail work. Mail servers"
        " that delay new senders need more than ten.",
    )

    security_log: SecurityLog = Field(
        default=SecurityLog.STDERR,
        description="Destination of security events, one line of JSON each"
        " (`docs/security-events.md`): `stderr`, `stdout` or `off`.",
    )

    metrics_token: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Secret of 32 characters or more, with which a monitor reads `/metrics`"
        " (`Authorization: Bearer …`); without one there is no such page.",
    )

    log_format: LogFormat = Field(
        default=LogFormat.TEXT,
        description="Format of the log on stderr (`docs/logs.md`): `text`, or `json` with one"
        " object a line.",
    )
    request_log: bool = Field(
        default=True,
        description="`false`: the log has no line for each request; the same as `portal serve"
        " --no-access-log`.",
    )

    font_paths: Annotated[list[str], NoDecode] = Field(
        default=[],
        description="Folders of fonts for documents, separated by commas, in addition to the"
        " machine's fonts: for names in other scripts, such as Chinese ones.",
    )

    field_key: Annotated[list[SecretStr], NoDecode] = Field(
        default=[],
        description="Secrets that encrypt tax ids at rest, separated by commas: the first encrypts,"
        " any of them decrypts. Each is 32 bytes in URL-safe base64.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, SecretFiles(settings_cls)

    @field_validator("font_paths", "field_key", "trusted_documents_file", "wallets", mode="before")
    @classmethod
    def parts(cls, value: object) -> object:
        return between_commas(value)

    @field_validator("field_key")
    @classmethod
    def keys_of_fields(cls, value: list[SecretStr]) -> list[SecretStr]:
        try:
            FieldKeys([key.get_secret_value() for key in value])
        except ValueError:
            raise ValueError("has a key that is not 32 bytes in URL-safe base64") from None
        return value

    @field_validator("token_key")
    @classmethod
    def keys_of_tokens(cls, value: str) -> str:
        keys = [part.strip() for part in value.split(",") if part.strip()]
        if not keys or min(map(len, keys)) < SHORTEST_KEY:
            raise ValueError(f"has a key of less than {SHORTEST_KEY} characters")
        return ",".join(keys)

    @field_validator("smtp_url")
    @classmethod
    def mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            if value is not None:
                parse_url(value.get_secret_value())
        except ValueError:
            raise ValueError("is not as smtp://user:password@host:587 or smtps://…") from None
        return value

    @field_validator("mail_from")
    @classmethod
    def mail_address(cls, value: str | None) -> str | None:
        if value is not None and not is_sender(value):
            raise ValueError("is not as Billing <no-reply@example.com>")
        return value

    @field_validator("stripe_webhook_secret", mode="before")
    @classmethod
    def webhook_secrets(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        secrets = [part.strip() for part in value.split(",") if part.strip()]
        if not all(WEBHOOK_SECRET.fullmatch(secret) for secret in secrets):
            raise ValueError("is not as whsec_…, or several with commas between")
        return secrets

    @field_validator("stripe_api_key")
    @classmethod
    def secret_key(cls, value: SecretStr | None) -> SecretStr | None:
        mode_of_key(value.get_secret_value() if value else None)
        return value

    @model_validator(mode="after")
    def keys_fit(self) -> "Settings":
        """Refuse settings of Stripe that contradict or lack one another."""
        if self.stripe_api_key is None:
            return self
        if self.sandbox:
            raise ValueError("SANDBOX is true, and STRIPE_API_KEY is set: unset one of them.")
        if not self.stripe_webhook_secret:
            raise ValueError("STRIPE_WEBHOOK_SECRET is not set, and STRIPE_API_KEY is.")
        if self.mode is PaymentsMode.LIVE and self.stripe_api_base is not None:
            raise ValueError("STRIPE_API_BASE is for tests: never beside a live key.")
        kind = f"pk_{self.mode.lower()}_"
        if not (self.stripe_publishable_key or "").startswith(kind):
            raise ValueError(f"STRIPE_PUBLISHABLE_KEY: with this secret key it begins with {kind}.")
        if self.mode is PaymentsMode.LIVE and not self.public_url.startswith("https://"):
            raise ValueError("PUBLIC_URL begins with https:// beside a live key.")
        return self

    @model_validator(mode="after")
    def mail_is_from_somebody(self) -> "Settings":
        if self.smtp_url is not None and self.mail_from is None:
            raise ValueError("MAIL_FROM is not set, and SMTP_URL is.")
        return self

    @model_validator(mode="after")
    def has_documents(self) -> "Settings":
        """Refuse a server that would answer nothing."""
        has_any = bool(self.trusted_documents_file) or self.portal_page
        if self.trusted_documents is TrustedDocumentsMode.ONLY and not has_any:
            raise ValueError("TRUSTED_DOCUMENTS is only, and TRUSTED_DOCUMENTS_FILE is not set.")
        return self

    @property
    def sign_in_lasts(self) -> dt.timedelta:
        """Return for how long a page may sign in with a mail that it asked for."""
        return dt.timedelta(minutes=self.sign_in_minutes)

    @property
    def post(self) -> Post | None:
        """Return the service that sends mails with sign-in links, or None without settings."""
        if self.smtp_url is None or self.mail_from is None:
            return None
        return smtp_service(self.smtp_url.get_secret_value(), self.mail_from)

    @property
    def signer(self) -> Signer:
        """Return the signer of links to documents."""
        return Signer(self.public_url, self.token_keys.newest, self.token_keys.older)

    @property
    def token_keys(self) -> TokenKeys:
        newest, *older = self.token_key.split(",")
        return TokenKeys(newest, older)

    @property
    def field_keys(self) -> FieldKeys:
        return FieldKeys([key.get_secret_value() for key in self.field_key])

    @property
    def address_rules(self) -> AddressRules:
        """Return the addresses that endpoints of webhooks may have."""
        is_sandbox = self.mode is PaymentsMode.SANDBOX
        return AddressRules(is_sandbox, self.webhook_private_addresses)

    @property
    def mode(self) -> PaymentsMode:
        """Return where payments are made: the sandbox, Stripe's test mode or its live mode."""
        key = self.stripe_api_key
        return mode_of_key(key.get_secret_value() if key else None)


class WrongSettings(CommandError):
    """Invalid settings in the environment. The text has a line for each."""


def from_environment() -> Settings:
    try:
        return Settings.model_validate({})
    except ValidationError as error:
        raise WrongSettings("\n".join(map(sentence, error.errors()))) from None
    except UnreadableSecret as error:
        raise WrongSettings(str(error)) from None


def sentence(error: object) -> str:
    """Return the error of one variable as a sentence, without its value, which may be secret."""
    assert isinstance(error, dict)
    if not error["loc"]:
        return str(error["msg"]).removeprefix("Value error, ")
    name = str(error["loc"][0]).upper()
    if error["type"] == "missing":
        return f"{name} is not set. {Settings.model_fields[name.lower()].description}"
    reason = str(error["msg"]).removeprefix("Value error, ")
    return f"{name}: {reason[0].lower()}{reason[1:]}."
