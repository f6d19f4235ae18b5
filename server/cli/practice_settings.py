"""The settings of a practice at the command line: as options, and in a TOML file.

Nothing but the command line is imported, so that `--help` is fast.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from server.cli.fields import ADDRESS, Field, given, with_fields
from server.cli.toml_files import flat, read_tables, unknown_key, wrong_type

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
    *(Setting(f"address.{name}", type_, help_) for name, type_, help_ in ADDRESS),
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
REQUIRED = ("name", "time_zone", "currency", "locale")
OPTIONAL = "phone email portal_url npi tax_id days_until_due address"


# -- options ---------------------------------------------------------------------------------------

with_settings = with_fields(Field(one.name, one.type, one.help) for one in SETTINGS)


def given_settings(file: Path | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a file and of options by their names. An option wins."""
    from_file = read_settings(file) if file is not None else {}
    return from_file | given(dict(options))


# -- the file --------------------------------------------------------------------------------------


def read_settings(file: Path) -> dict[str, Any]:
    """Return the settings of a TOML file. A logo's path is relative to the file's folder."""
    settings: dict[str, Any] = {}
    for key, value in flat(read_tables(file)):
        setting = BY_KEY.get(key)
        if setting is None:
            raise unknown_key(file, key, BY_KEY)
        settings[setting.name] = typed(file, setting, value)
    return settings


def typed(file: Path, setting: Setting, value: object) -> object:
    """Return the value of a key. Raise WrongFile if it is of another type."""
    wanted = str if setting.type is Path else setting.type
    if type(value) is not wanted:
        raise wrong_type(file, setting.key, WORDS[wanted])
    return file.parent / str(value) if setting.type is Path else value
