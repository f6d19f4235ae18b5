"""The records of CSV files: decoded, split into columns, and with every value checked."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from billing.imports.columns import ColumnLayout, FileLayout, nearest_name
from billing.imports.faults import Complaint, Faults
from billing.imports.folders import PDF, UNREADABLE, Folder
from billing.imports.layouts import BY_NAME
from billing.imports.mapping import OURS, FileMapping, ImportMapping
from billing.imports.values import Formats, Parser

# A line of a file, in bytes; the columns of a heading; and the records of a file.
LONGEST_LINE = 1 << 20
MOST_COLUMNS = 200
MOST_RECORDS = 5_000_000
SEPARATORS = (",", ";")
UTF_8_MARK = b"\xef\xbb\xbf"
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
SAVE_AS_UTF_8 = "save the file as CSV in UTF-8"
QUOTE = "put values with separators, quotes or line breaks into quotes, and double quotes in them"


@dataclass(frozen=True)
class SourceRecord:
    """A record of a file, with a value or None for each of its columns."""

    line: int
    values: Mapping[str, Any]


@dataclass
class SourceFile:
    """A file of records. Records with faults are yielded too, without their wrong values.

    `known` are headings that other files of ours have from the same file.
    """

    layout: FileLayout
    folder: Folder
    mapping: FileMapping
    formats: Formats
    faults: Faults
    known: frozenset[str] = frozenset()

    @property
    def path(self) -> str:
        return self.mapping.path

    @property
    def is_distinct(self) -> bool:
        return self.mapping.is_distinct

    def heading(self, column: str) -> str:
        return self.mapping.heading(column)

    def records(self) -> Iterator[SourceRecord]:
        try:
            with self.folder.open(self.path) as file:
                yield from CsvReader(self, Lines(file)).records()
        except UNREADABLE as error:
            wrong = f"can't be read ({type(error).__name__})"
            self.complain(0, "", Complaint(wrong, "copy the file again", "UNREADABLE"))

    def complain(self, line: int, column: str, complaint: Complaint) -> None:
        self.faults.complain(self.path, line, self.heading(column), complaint)


def source_files(
    folder: Folder, formats: Formats, faults: Faults, mapping: ImportMapping = OURS
) -> list[SourceFile]:
    """Return the files of a folder, in the order in which they are needed. Refuse unknown ones."""
    found: dict[str, SourceFile] = {}
    paths = sorted({one.path for one in mapping.files.values()})
    formats = mapping.apply(formats)
    has_documents = mapping.files["documents"].path in folder.names()
    for path in folder.names():
        names = mapping.of_path(path)
        known = mapping.known_headings(names)
        for name in names:
            file = mapping.files[name]
            found[name] = SourceFile(BY_NAME[name], folder, file, formats, faults, known)
        is_attached = has_documents and path.lower().endswith(PDF)
        if not names and not is_attached and path not in mapping.ignored:
            nearest = nearest_name(path, paths)
            remedy = f"did you mean {nearest}?" if nearest else f"known are {', '.join(paths)}"
            faults.add(path, 0, "", "UNKNOWN_FILE", "is no file of an import", remedy)
    if not found and not faults.count:
        remedy = "the folder needs one or more of " + ", ".join(paths)
        faults.add("folder", 0, "", "UNKNOWN_FILE", "has no files", remedy)
    return [found[name] for name in BY_NAME if name in found]


@dataclass
class Lines:
    """The lines of a file as text, with the number of the last one."""

    file: BinaryIO
    number: int = 0

    def __iter__(self) -> Iterator[str]:
        while line := self.file.readline(LONGEST_LINE + 1):
            self.number += 1
            if len(line) > LONGEST_LINE:
                raise Complaint("is longer than 1 MiB", "check how the file ends its lines")
            if self.number == 1:
                line = line.removeprefix(UTF_8_MARK)
            try:
                yield line.decode()
            except UnicodeDecodeError:
                is_utf_16 = self.number == 1 and line.startswith(UTF_16_MARKS)
                found = "UTF-16" if is_utf_16 else "not UTF-8"
                raise Complaint(f"is {found}", SAVE_AS_UTF_8, "UNREADABLE") from None


class CsvReader:
    """A reader of one CSV file."""

    def __init__(self, source: SourceFile, lines: Lines) -> None:
        self.source, self.layout, self.lines = source, source.layout, lines
        self.text = iter(lines)

    def records(self) -> Iterator[SourceRecord]:
        """Yield the records. After a fault of the file's form no others can be read."""
        try:
            heading = self.heading()
            if heading is not None:
                yield from self.read(*heading)
        except Complaint as complaint:
            self.source.complain(self.lines.number, "", complaint)
        except csv.Error as error:
            wrong = f"is no CSV ({error})"
            self.source.complain(self.lines.number, "", Complaint(wrong, QUOTE, "UNREADABLE"))

    # -- the heading -------------------------------------------------------------------------------

    def heading(self) -> tuple[str, list[str]] | None:
        """Return the separator and the names of the columns, or None if there is no heading."""
        first = next(self.text, "")
        if not first.strip():
            wrong, remedy = "has no heading", "name the columns in the first line"
            self.source.complain(1, "", Complaint(wrong, remedy, "MISSING"))
            return None
        separator = max(SEPARATORS, key=first.count)
        names = [name.strip() for name in next(csv.reader([first], delimiter=separator), [])]
        if len(names) > MOST_COLUMNS:
            wrong = f"has {len(names):,} columns"
            raise Complaint(wrong, f"a file has at most {MOST_COLUMNS}", "UNKNOWN_COLUMN")
        self.check_heading(names)
        return separator, names

    def check_heading(self, names: Sequence[str]) -> None:
        source, given = self.source, self.source.mapping
        for place, name in enumerate(names, 1):
            if given.column(name) not in self.layout.by_name and name not in source.known:
                source.faults.complain(
                    source.path, 1, heading_name(name, place), self.unknown(name)
                )
            elif name in names[: place - 1]:
                complaint = Complaint("is there twice", "leave one of them out", "DUPLICATE")
                source.faults.complain(source.path, 1, name, complaint)
        for column in self.layout.columns:
            is_there = source.heading(column.name) in names or column.name in given.constants
            if column.is_required and not is_there:
                source.complain(
                    1, column.name, Complaint("is missing", "add the column", "MISSING")
                )

    def unknown(self, name: str) -> Complaint:
        known = [self.source.heading(column) for column in self.layout.by_name]
        nearest = nearest_name(name, known)
        remedy = f"did you mean {nearest}?" if nearest else f"known are {', '.join(known)}"
        return Complaint("is no column of this file", remedy, "UNKNOWN_COLUMN")

    # -- records -----------------------------------------------------------------------------------

    def read(self, separator: str, names: Sequence[str]) -> Iterator[SourceRecord]:
        given = self.source.mapping
        reader = RecordReader(
            self.layout,
            [given.column(name) or "" for name in names],
            self.source.formats,
            self.source.complain,
            given,
        )
        chosen = [
            (place, given.only[name]) for place, name in enumerate(names) if name in given.only
        ]
        line, count = self.lines.number + 1, 0
        for texts in csv.reader(self.text, delimiter=separator, strict=True):
            if any(texts):
                count += 1
                if count > MOST_RECORDS:
                    raise Complaint(f"has more than {MOST_RECORDS:,} records", "split the file")
                if len(texts) != len(names):
                    wrong = f"has {len(texts)} values, and the heading {len(names)}"
                    self.source.complain(line, "", Complaint(wrong, QUOTE))
                elif all(texts[place].strip() in values for place, values in chosen):
                    yield reader.read(line, texts)
            line = self.lines.number + 1


class RecordReader:
    """A reader of the values of one file's records, from their texts in the order of `names`."""

    def __init__(
        self,
        layout: FileLayout,
        names: Sequence[str],
        formats: Formats,
        complain: Callable[[int, str, Complaint], None],
        mapping: FileMapping | None = None,
    ) -> None:
        self.layout, self.complain = layout, complain
        given = mapping or FileMapping(layout.file)
        parsers = {name: formats.parser(one.form) for name, one in layout.by_name.items()}
        self.columns = [
            ReadColumn(layout.by_name[name], place, parsers[name], given.words.get(name, {}))
            for place, name in enumerate(names)
            if name in layout.by_name and name not in names[:place]
        ]
        self.blank: dict[str, Any] = dict.fromkeys(layout.by_name)
        for name, text in given.constants.items():
            self.blank[name] = parsers[name](text)

    def read(self, line: int, texts: Sequence[str]) -> SourceRecord:
        """Return a record with its values. Complain about each value that is wrong."""
        values, is_right = dict(self.blank), True
        for column in self.columns:
            try:
                value = column.value(texts[column.place])
            except Complaint as complaint:
                is_right = False
                self.complain(line, column.layout.name, complaint)
            else:
                if value is not None:
                    values[column.layout.name] = value
        if is_right:
            for name, broken in self.layout.rule(values):
                self.complain(line, name, broken)
        return SourceRecord(line, values)


@dataclass(frozen=True)
class ReadColumn:
    """A column of a file that is read: its place, its parser, and our words for the file's."""

    layout: ColumnLayout
    place: int
    parse: Parser
    words: Mapping[str, str]

    def value(self, written: str) -> Any:
        """Return the value of a text, or raise a Complaint."""
        text = written.strip()
        text = self.words.get(text, text)
        if not text:
            if self.layout.is_required:
                raise Complaint("is empty", "give a value", "MISSING")
            return None
        if self.layout.instead:
            raise Complaint("is not imported", self.layout.instead, "NOT_SUPPORTED")
        return self.parse(text)


def heading_name(name: str, place: int) -> str:
    """Return a short name for an unknown column, which may hold anything."""
    is_plain = name.isprintable() and 0 < len(name) <= 40
    return name if is_plain else f"column {place}"
