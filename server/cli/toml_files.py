"""TOML files that commands read."""

import difflib
import tomllib
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from server.command_errors import CommandError


class WrongFile(CommandError):
    """A file that can't be read, or has a wrong key or value. The text gives the right form."""


def read_tables(file: Path) -> dict[str, Any]:
    """Return the tables of a TOML file. Numbers with decimals are exact."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"), parse_float=Decimal)
    except OSError as error:
        raise WrongFile(f"{file} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise WrongFile(f"{file} is not a text in UTF-8: save it as such.") from None
    except (tomllib.TOMLDecodeError, ArithmeticError, RecursionError) as error:
        raise WrongFile(f"{file} is not a TOML file: {error}.") from None


def flat(tables: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested tables, with their keys separated by dots."""
    for key, value in tables.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def unknown_key(file: Path, key: str, keys: Collection[str]) -> WrongFile:
    near = difflib.get_close_matches(key, keys, n=1)
    hint = f"{near[0]} is meant?" if near else f"the keys are {', '.join(keys)}."
    return WrongFile(f"{file}: there is no key {key!r}: {hint}")


def wrong_type(file: Path, key: str, wanted: str) -> WrongFile:
    return WrongFile(f"{file}: {key} has to be {wanted}.")
