"""The faults of files, each with its place, its description and its correction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

# More faults are only counted.
MOST_FAULTS = 1_000


class Fault(NamedTuple):
    """A fault in a file. No text quotes a value, since values may be health information.

    A fault of a whole line has no column, and a fault of a whole file is on line 0.
    """

    file: str
    line: int
    column: str
    code: str
    wrong: str
    remedy: str

    def __str__(self) -> str:
        place = [self.file, *([str(self.line)] if self.line else [])]
        place += [self.column] if self.column else []
        return f"{':'.join(place)}: {self.wrong}: {self.remedy}"


class Complaint(ValueError):
    """A value that is not as its column needs it."""

    def __init__(self, wrong: str, remedy: str, code: str = "BAD_VALUE") -> None:
        super().__init__(wrong)
        self.wrong, self.remedy, self.code = wrong, remedy, code


@dataclass
class Faults:
    """The faults that were found so far."""

    first: list[Fault] = field(default_factory=list)
    count: int = 0

    def add(self, file: str, line: int, column: str, code: str, wrong: str, remedy: str) -> None:
        fault = Fault(file, line, column, code, wrong, remedy)
        if line <= 1 and fault in self.first:
            # Two of our files are read from one file, and find the same fault in its heading.
            return
        self.count += 1
        if self.count <= MOST_FAULTS:
            self.first.append(fault)

    def complain(self, file: str, line: int, column: str, complaint: Complaint) -> None:
        self.add(file, line, column, complaint.code, complaint.wrong, complaint.remedy)

    def in_order(self, files: Sequence[str]) -> list[Fault]:
        """Return the faults by file, in the order of these files, and by line."""
        places = {name: place for place, name in enumerate(files)}
        return sorted(self.first, key=lambda one: (places.get(one.file, -1), one.file, one.line))
