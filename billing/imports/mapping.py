"""The mapping of another system's export: its files, headings, words and formats for ours."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from billing.imports.columns import nearest_name
from billing.imports.layouts import BY_NAME
from billing.imports.values import Formats

FORMATS = {
    "date": "date_format",
    "time": "time_format",
    "currency_symbol": "currency_symbol",
    "thousands": "thousands",
    "decimal": "decimal",
}
SECTIONS = ("formats", "files", "constants", "words", "only", "ignored", "distinct")


class WrongMapping(Exception):
    """A mapping that can't be used. The text gives the reason."""


@dataclass(frozen=True)
class FileMapping:
    """The export's file for one of our files. Without `columns` the headings are ours.

    `words` replaces values of a column, and `only` keeps records with one of some values in a
    column of the export. With `is_distinct`, repeated records are one record.
    """

    path: str
    columns: Mapping[str, str] | None = None
    constants: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ignored: Sequence[str] = ()
    is_distinct: bool = False

    def heading(self, column: str) -> str:
        """Return the export's heading of one of our columns."""
        return column if self.columns is None else self.columns.get(column, column)

    def column(self, heading: str) -> str | None:
        """Return our column of a heading, if it has one."""
        if self.columns is None:
            return heading
        return next((name for name, theirs in self.columns.items() if theirs == heading), None)

    @property
    def extra(self) -> set[str]:
        """Return the headings that are known, but are no column of ours."""
        return {*self.ignored, *self.only}


@dataclass(frozen=True)
class ImportMapping:
    """The files of an export by our names, and the files that are left out."""

    files: Mapping[str, FileMapping]
    ignored: Sequence[str] = ()
    formats: Mapping[str, str] = field(default_factory=dict)

    def apply(self, formats: Formats) -> Formats:
        given: dict[str, Any] = dict(self.formats)
        return replace(formats, **given)

    def known_headings(self, names: Sequence[str]) -> frozenset[str]:
        """Return the headings that some of our files have from one file of the export."""
        files = [self.files[name] for name in names]
        mapped = {heading for one in files for heading in (one.columns or {}).values()}
        return frozenset(mapped.union(*(one.extra for one in files)))

    def of_path(self, path: str) -> list[str]:
        """Return our files that one file of the export has records of."""
        return [name for name, one in self.files.items() if one.path == path]


OURS = ImportMapping({name: FileMapping(layout.file) for name, layout in BY_NAME.items()})


def read_mapping(content: bytes) -> ImportMapping:
    """Read a mapping in TOML."""
    try:
        document = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WrongMapping(f"is no TOML in UTF-8: {error}") from None
    for section in document:
        if section not in SECTIONS and section not in BY_NAME:
            raise WrongMapping(f"has an unknown section {section}{hint(section, all_sections())}")
    formats = texts(document, "formats")
    for name in formats:
        if name not in FORMATS:
            raise WrongMapping(f"has an unknown format {name}{hint(name, [*FORMATS])}")
    ignored = document.get("ignored", {})
    paths = texts(document, "files")
    check_names("files", paths)
    check_names("constants", document.get("constants", {}))
    check_names("words", document.get("words", {}))
    check_names("only", document.get("only", {}))
    files = {
        name: FileMapping(
            paths.get(name, BY_NAME[name].file),
            our_columns(name, texts(document, name)) if name in document else None,
            our_columns(name, texts(document.get("constants", {}), name)),
            our_columns(name, document.get("words", {}).get(name, {})),
            document.get("only", {}).get(name, {}),
            list_of(ignored, name),
            name in list_of(document, "distinct"),
        )
        for name in BY_NAME
    }
    formats = {FORMATS[name]: value for name, value in formats.items()}
    return ImportMapping(files, list_of(ignored, "files"), formats)


def all_sections() -> list[str]:
    return [*SECTIONS, *BY_NAME]


def hint(name: str, known: Sequence[str]) -> str:
    nearest = nearest_name(name, known)
    return f": did you mean {nearest}?" if nearest else f": known are {', '.join(known)}."


def check_names(section: str, named: Any) -> None:
    if not isinstance(named, Mapping):
        raise WrongMapping(f"has a {section} that is no table.")
    for name in named:
        if name not in BY_NAME:
            raise WrongMapping(f"has an unknown file {section}.{name}{hint(name, [*BY_NAME])}")


def our_columns(file: str, named: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a table by columns. Refuse names that are no columns of the file."""
    known = [*BY_NAME[file].by_name]
    for name in named:
        if name not in known:
            raise WrongMapping(f"has an unknown column {file}.{name}{hint(name, known)}")
    return named


def texts(document: Any, section: str) -> Mapping[str, str]:
    """Return a table of texts. Raise WrongMapping for other values."""
    table = document.get(section, {})
    if not isinstance(table, Mapping) or not all(isinstance(one, str) for one in table.values()):
        raise WrongMapping(f"has a section {section} whose values are not all texts.")
    return table


def list_of(document: Any, name: str) -> Sequence[str]:
    found = document.get(name, []) if isinstance(document, Mapping) else []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise WrongMapping(f"has a list {name} whose items are not all texts.")
    return found
