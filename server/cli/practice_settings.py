"""The settings of a practice at the command line: as options, and in a TOML file.

Only the standard library is imported, so that `--help` is fast.
"""

import difflib
import inspect
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

import typer

from server.command_errors import CommandError

C = TypeVar("C", bound=Callable[..., None])
# The names of models.DocumentKind, which is not imported for `--help`.
KINDS = ("INVOICE", "STATEMENT", "SUPERBILL", "RECEIPT")
WORDS = {str: "a text in quotes", int: "a whole number", bool: "true or false"}


class Setting(NamedTuple):
    """A setting: an option of its name, and a key of the file. A dot separates table and key."""

    key: str
    type: type[Any]
    help: str

    @property
    def name(self) -> str:
        """Return the name of the option: `invoice_start` for `numbers.invoice.start`."""
        return self.key.removeprefix("numbers.").removeprefix("address.").replace(".", "_")


class WrongSetting(CommandError):
    """A setting that is missing or wrong. The text says what is right."""


def number_settings() -> Iterator[Setting]:
    for kind in (kind.lower() for kind in KINDS):
        yield Setting(f"numbers.{kind}.prefix", str, f"The beginning of {kind} numbers.")
        yield Setting(
            f"numbers.{kind}.start", int, f"The first {kind} number; a higher one is kept."
        )


SETTINGS = (
    Setting("name", str, "The practice's name."),
    Setting("time_zone", str, "Its time zone, as America/New_York. It never changes."),
    Setting("currency", str, "Its currency, as USD. It never changes."),
    Setting("locale", str, "The language and region of documents, as en-US."),
    Setting("phone", str, "Its telephone number."),
    Setting("email", str, "Its e-mail address, for clients."),
    Setting("portal_url", str, "The https address of its portal page, for sign-in mails."),
    Setting("address.line1", str, "Street and number."),
    Setting("address.line2", str, "Suite or floor."),
    Setting("address.city", str, "City."),
    Setting("address.region", str, "State or region."),
    Setting("address.postal_code", str, "Postal code."),
    Setting("address.country", str, "Country, as US."),
    Setting("npi", str, "The practice's National Provider Identifier."),
    Setting("tax_id", str, "Its tax id, which is stored encrypted (FIELD_KEY)."),
    Setting("stripe_account", str, "Its Stripe account: acct_…, or own for the key's account."),
    Setting("online_payments", bool, "Whether clients pay by card. Needs a Stripe account."),
    Setting("clients_remove_cards", bool, "Whether clients may remove their cards."),
    Setting("days_until_due", int, "The days until an invoice is due, if it names no day."),
    Setting("logo", Path, "A PNG, JPEG or SVG for documents from today on."),
    *number_settings(),
)
BY_KEY = {setting.key: setting for setting in SETTINGS}
ADDRESS = [one.name for one in SETTINGS if one.key.startswith("address.")]
REQUIRED = ("name", "time_zone", "currency", "locale")
OPTIONAL = ("phone", "email", "portal_url", "npi", "tax_id", "days_until_due", "address")


# -- options ---------------------------------------------------------------------------------------


def with_settings(command: C) -> C:
    """Give a command an option for each setting, in place of its own `**settings`."""
    signature = inspect.signature(command)
    fixed = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    options = [
        inspect.Parameter(
            setting.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[setting.type | None, typer.Option(help=setting.help)],
        )
        for setting in SETTINGS
    ]
    changed: Any = command
    changed.__signature__ = signature.replace(parameters=[*fixed, *options])
    return command


def given_settings(file: Path | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a file and of options by their names. An option wins."""
    from_file = read_settings(file) if file is not None else {}
    return from_file | {name: value for name, value in options.items() if value is not None}


# -- the file --------------------------------------------------------------------------------------


def read_settings(file: Path) -> dict[str, Any]:
    """Return the settings of a TOML file. A logo is a file beside it."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise WrongSetting(f"{file} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise WrongSetting(f"{file} is not a text in UTF-8: save it as such.") from None
    except tomllib.TOMLDecodeError as error:
        raise WrongSetting(f"{file} is not a TOML file: {error}.") from None
    settings: dict[str, Any] = {}
    for key, value in flat(tables):
        setting = BY_KEY.get(key)
        if setting is None:
            raise WrongSetting(f"{file}: {unknown(key)}")
        settings[setting.name] = typed(file, setting, value)
    return settings


def flat(tables: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested tables, with their keys separated by dots."""
    for key, value in tables.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def unknown(key: str) -> str:
    near = difflib.get_close_matches(key, BY_KEY, n=1)
    hint = f"{near[0]} is meant?" if near else f"the keys are {', '.join(BY_KEY)}."
    return f"there is no setting {key!r}: {hint}"


def typed(file: Path, setting: Setting, value: object) -> object:
    """Return the value of a key. Raise WrongSetting if it is of another type."""
    wanted = str if setting.type is Path else setting.type
    if type(value) is not wanted:
        raise WrongSetting(f"{file}: {setting.key} has to be {WORDS[wanted]}.")
    return file.parent / str(value) if setting.type is Path else value
