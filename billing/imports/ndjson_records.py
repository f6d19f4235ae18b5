"""The records of NDJSON: an object on each line, with the columns of the files as its fields.

`{"client": {"id": "c-1", "name": "Ana Prieto"}}` is a record of `clients.csv`. An invoice may have
its lines in it, and a payment its allocations.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from billing.imports.columns import FileLayout, nearest_name
from billing.imports.csv_records import RecordReader, SourceRecord, heading_name
from billing.imports.faults import Complaint, Fault, Faults
from billing.imports.folders import Folder
from billing.imports.layouts import BY_NAME, LAYOUTS, OF_FOLDERS
from billing.imports.values import Formats

BODY = "body"
BY_KIND: Mapping[str, FileLayout] = {layout.kind: layout for layout in LAYOUTS}
# Fields of a record that hold records of another file: the file, and its column for the record.
PARTS: Mapping[str, Mapping[str, tuple[FileLayout, str]]] = {
    "invoice": {"lines": (BY_NAME["invoice_lines"], "invoice_id")},
    "payment": {"allocations": (BY_NAME["allocations"], "payment_id")},
    "superbill": {
        "lines": (BY_NAME["superbill_lines"], "superbill_id"),
        "diagnoses": (BY_NAME["superbill_diagnoses"], "superbill_id"),
    },
}
Record = Mapping[str, Any]


class LinePlace(NamedTuple):
    """A line of the body: its number, and where it begins and ends."""

    number: int
    start: int
    end: int


@dataclass
class NdjsonBody:
    """A body of records. A line is parsed again when its records are read, so that the memory that
    a body takes hardly grows with its number of records.
    """

    content: bytes
    formats: Formats
    faults: Faults
    places: dict[str, list[LinePlace]] = field(default_factory=lambda: defaultdict(list))
    # The lines of the records of each file, by the number of the record.
    numbers: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def sources(self) -> list["NdjsonSource"]:
        """Return the sources of the records, in the order in which they are needed."""
        for place in self.lines():
            try:
                kind, record = self.parsed(place)
                self.places[BY_KIND[kind].name].append(place)
                for name, (layout, _) in PARTS.get(kind, {}).items():
                    if record.get(name) is not None:
                        self.places[layout.name].append(place)
            except Complaint as complaint:
                self.faults.complain(BODY, place.number, "", complaint)
        found = [layout for layout in LAYOUTS if layout.name in self.places]
        if not found and not self.faults.count:
            empty = Complaint("has no records", "write a record on each line", "MISSING")
            self.faults.complain(BODY, 0, "", empty)
        return [NdjsonSource(self, layout) for layout in found]

    def located(self, faults: Sequence[Fault]) -> list[Fault]:
        """Return the faults of records with their lines in the body."""
        found = [
            fault._replace(file=BODY, line=self.numbers[fault.file][fault.line - 1])
            if fault.file in self.numbers and fault.line
            else fault._replace(file=BODY)
            for fault in faults
        ]
        return sorted(found, key=lambda fault: fault.line)

    def lines(self) -> Iterator[LinePlace]:
        """Yield the lines that are not blank."""
        start, number = 0, 0
        while start < len(self.content):
            end = self.content.find(b"\n", start)
            end = len(self.content) if end < 0 else end
            number += 1
            if self.content[start:end].strip():
                yield LinePlace(number, start, end)
            start = end + 1

    def parsed(self, place: LinePlace) -> tuple[str, Record]:
        """Return the kind and the fields of the record on a line. Numbers stay texts."""
        try:
            text = self.content[place.start : place.end].decode()
            line = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError):
            remedy = "write one JSON object in UTF-8"
            raise Complaint("is not JSON", remedy, "UNREADABLE") from None
        if not isinstance(line, dict) or len(line) != 1:
            example = 'write one record, as {"client": {…}}'
            raise Complaint("is not an object with one field", example)
        ((kind, record),) = line.items()
        if kind not in BY_KIND:
            known = f"known are {', '.join(one for one in BY_KIND if one not in OF_FOLDERS)}"
            raise Complaint("is no kind of record", known, "UNKNOWN_FILE")
        if kind in OF_FOLDERS:
            remedy = "import it by `portal import` from a folder"
            raise Complaint("is not entered by a request", remedy, "NOT_SUPPORTED")
        if not isinstance(record, dict):
            raise Complaint("has no fields", f'write {{"{kind}": {{…}}}}')
        return kind, record


@dataclass
class NdjsonSource:
    """The records of one file among those of a body, which are counted: a line may have several."""

    body: NdjsonBody
    layout: FileLayout
    is_distinct: bool = False
    folder: Folder | None = None

    @property
    def path(self) -> str:
        return self.layout.name

    def heading(self, column: str) -> str:
        return column

    def records(self) -> Iterator[SourceRecord]:
        names = [*self.layout.by_name]
        reader = RecordReader(self.layout, names, self.body.formats, self.complain_of_record)
        numbers = self.body.numbers[self.layout.name]
        for place in self.body.places[self.layout.name]:
            for record in self.records_of(place):
                texts = [self.text(place.number, name, record.get(name)) for name in names]
                numbers.append(place.number)
                yield reader.read(len(numbers), texts)

    def records_of(self, place: LinePlace) -> Iterator[Record]:
        """Yield the records of this file on a line: the line's own, or its parts."""
        kind, record = self.body.parsed(place)
        parts = PARTS.get(kind, {})
        if kind == self.layout.kind:
            self.check_names(place.number, record, parts)
            yield record
        for name, (layout, own_column) in parts.items():
            if layout is self.layout:
                yield from self.parts(place.number, name, record, own_column)

    def parts(self, line: int, name: str, record: Record, own_column: str) -> Iterator[Record]:
        """Yield the records of a field, which refer to the record that they are in."""
        items = record.get(name)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            self.complain(line, name, Complaint("is not a list of objects", "write [{…}, {…}]"))
            return
        for position, item in enumerate(items, 1):
            self.check_names(line, item, {})
            yield {"position": str(position), **item, own_column: record.get("id")}

    def check_names(self, line: int, record: Record, parts: Mapping[str, Any]) -> None:
        for place, name in enumerate(record, 1):
            if name not in self.layout.by_name and name not in parts:
                nearest = nearest_name(name, [*self.layout.by_name, *parts])
                known = f"known are {', '.join([*self.layout.by_name, *parts])}"
                remedy = f"did you mean {nearest}?" if nearest else known
                complaint = Complaint("is no field of this record", remedy, "UNKNOWN_COLUMN")
                self.complain(line, heading_name(name, place), complaint)

    def text(self, line: int, name: str, value: Any) -> str:
        """Return the text of a value, as a file would have it."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, str):
            return value
        remedy = "write a text, a number, true, false or null"
        self.complain(line, name, Complaint("is no text", remedy))
        return ""

    def complain(self, line: int, column: str, complaint: Complaint) -> None:
        self.body.faults.complain(BODY, line, column, complaint)

    def complain_of_record(self, number: int, column: str, complaint: Complaint) -> None:
        self.body.faults.complain(self.path, number, column, complaint)
