"""Secrets from files: `TOKEN_KEY_FILE=/run/secrets/token_key` instead of `TOKEN_KEY=…`.

A process's environment is shown by tools that list processes, and inherited by its children.
"""

import os
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from server.command_errors import CommandError

SECRETS = frozenset(
    """database_url database_owner_url replica_url token_key stripe_api_key stripe_webhook_secret
    smtp_url field_key metrics_token""".split()
)
SUFFIX = "_FILE"


class UnreadableSecret(CommandError):
    """A secret's file can't be read, or the secret itself is set too. The text names the
    setting.
    """


class SecretFiles(PydanticBaseSettingsSource):
    """The settings that files hold."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return (
            (read_secret(field_name.upper()) if field_name in SECRETS else None),
            field_name,
            False,
        )

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields.items()
        found = {name: self.get_field_value(field, name)[0] for name, field in fields}
        return {name: value for name, value in found.items() if value is not None}


def read_secret(name: str) -> str | None:
    """Return the secret in the file that the environment names, or None if it names none."""
    file = name + SUFFIX
    path = os.environ.get(file)
    if path is None:
        return None
    if name in os.environ:
        raise UnreadableSecret(f"{name} and {file} are both set: unset one of them.")
    try:
        return Path(path).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UnreadableSecret(f"{file}: {path} can't be read: {reason}.") from None


def secret(name: str) -> str:
    """Return a secret by its name, from the environment or a file, or an empty text if it isn't
    set.
    """
    return read_secret(name) or os.environ.get(name, "")
