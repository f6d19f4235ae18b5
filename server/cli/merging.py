"""Details of a row from the fields that a command was given, over the row's current ones."""

from collections.abc import Collection, Mapping
from typing import Any

from billing.entry.people import PostalAddress, TaxId
from server.cli.fields import ADDRESS
from server.command_errors import CommandError
from server.settings import Settings

Values = dict[str, Any]
# The lengths of a tax id without hyphens; those of the United States have nine digits.
TAX_ID_LENGTHS, TAX_ID_DIGITS_US = range(8, 21), 9
NO_FIELD_KEY = (
    "A tax id is stored encrypted, and FIELD_KEY is not set: docs/operations.md says how to make"
    " the key."
)


class WrongField(CommandError):
    """A field that is missing or wrong. The text gives the right form."""


def merged(
    current: Mapping[str, Any], given: Mapping[str, Any], clear: Collection[str], optional: str
) -> Values:
    """Return the current values with the given ones in their place, without the cleared ones.

    The parts of an address become one value.
    """
    names = optional.split()
    if unknown := [name for name in clear if name not in names]:
        raise WrongField(f"{unknown[0]} can't be removed: {', '.join(names)} can.")
    parts = {field.name for field in ADDRESS}
    values = dict(current) | {name: one for name, one in given.items() if name not in parts}
    values["address"] = merged_address(values.get("address"), given)
    return values | dict.fromkeys(clear)


def merged_address(current: PostalAddress | None, given: Mapping[str, Any]) -> PostalAddress | None:
    parts: Values = dict(vars(current)) if current else {}
    parts |= {field.name: given[field.name] for field in ADDRESS if field.name in given}
    needed = ("line1", "city", "postal_code", "country")
    if parts and (missing := [name for name in needed if name not in parts]):
        raise WrongField(f"An address needs {' and '.join(missing)} too.")
    return PostalAddress(**parts) if parts else None


def encrypted_tax_id(
    text: str, known: TaxId | None, settings: Settings, country: str | None
) -> TaxId:
    """Return a tax id as it is stored. The same one stays as it is."""
    if not settings.field_key:
        raise WrongField(NO_FIELD_KEY)
    keys = settings.field_keys
    if known and known.encrypted and keys.read(known.encrypted) == text:
        return known
    letters = "".join(letter for letter in text if letter not in " -.")
    digits = [letter for letter in letters if "0" <= letter <= "9"]
    is_wrong = len(letters) not in TAX_ID_LENGTHS or not letters.isalnum() or len(digits) < 4
    if is_wrong or (country == "US" and len(digits) != TAX_ID_DIGITS_US):
        raise WrongField("tax_id is not as 12-3456789 or 123-45-6789.")
    return TaxId("".join(digits[-4:]), keys.encrypted(text))
