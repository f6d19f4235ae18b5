"""Random faults of a folder: in its records, and in the bytes of its files."""

import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.import_folders import Folder, csv_text, write_folder

WRONG = (
    "", "x", "0", "-1", "1e9", "NaN", "null", "=1+1", "@SUM(1)", "99999999999999999999",
    "2026-02-30", "2019-01-01", "2099-01-01", "0.001", "12,50", "\0", "a\0b", "é" * 300, "\u202e",
    "'; DROP TABLE",
    "c1", "c2", "c3", "i1", "i3", "p1", "s3", "t1", "100.00", "yes", "VOID", "\ud7ff", " ", "a\nb",
)  # fmt: skip


@dataclass
class Mutation:
    """A mutated folder. `places` are the files and lines where its faults may be told: the line
    itself, and the lines that name its record. None: anywhere.
    """

    name: str
    folder: Folder
    places: set[tuple[str, int]] | None = field(default_factory=set)
    content: tuple[str, bytes | None] | None = None

    def write(self, path: Path) -> Path:
        write_folder(path, self.folder)
        if self.content is not None:
            name, content = self.content
            if content is None:
                (path / name).unlink()
            else:
                (path / name).write_bytes(content)
        return path


def mutated(seed: int, folder: Folder) -> Mutation:
    """Return a folder with one fault, which may be none after all."""
    chance = random.Random(seed)
    change = chance.choice(CHANGES)
    return change(chance, deepcopy(folder))


def pick(chance: random.Random, folder: Folder) -> tuple[str, int]:
    file = chance.choice([name for name, rows in folder.items() if rows])
    return file, chance.randrange(len(folder[file]))


def about(folder: Folder, *ids: str) -> set[tuple[str, int]]:
    """Return the lines with an id, and those that they name, and so on for some steps."""
    found: set[tuple[str, int]] = set()
    wanted = {one for one in ids if one}
    for _ in range(4):
        for file, rows in folder.items():
            for at, row in enumerate(rows):
                keys = {v for k, v in row.items() if k == "id" or k.endswith("_id")} - {""}
                if keys & wanted:
                    found.add((f"{file}.csv", at + 2))
                    if "file" in row:
                        found.add((row["file"], 0))
                    wanted |= keys
    return found


def wrong_value(chance: random.Random, folder: Folder) -> Mutation:
    file, at = pick(chance, folder)
    column, value = chance.choice(list(folder[file][at])), chance.choice(WRONG)
    before = about(folder, *folder[file][at].values())
    folder[file][at][column] = value
    after = about(folder, *folder[file][at].values())
    name = f"{file}:{at + 2}:{column} is {value[:20]!r}"
    return Mutation(name, folder, before | after | {(f"{file}.csv", at + 2)})


def missing_row(chance: random.Random, folder: Folder) -> Mutation:
    file, at = pick(chance, folder)
    row = folder[file].pop(at)
    if not folder[file]:
        del folder[file]
    places = about(folder, *row.values())
    if "file" in row:
        # The PDF is there, and no row names it any more.
        places.add((row["file"], 0))
    return Mutation(f"{file}:{at + 2} is missing", folder, places)


def doubled_row(chance: random.Random, folder: Folder) -> Mutation:
    file, at = pick(chance, folder)
    row = dict(folder[file][at])
    if "id" in row and chance.random() < 0.5:
        row["id"] += "-again"
    folder[file].append(row)
    places = about(folder, *row.values())
    return Mutation(f"{file}:{at + 2} is doubled", folder, places)


def other_client(chance: random.Random, folder: Folder) -> Mutation:
    named = [(file, at, column) for file, rows in folder.items() for at, row in enumerate(rows)
             for column in row if column.endswith("_id") and column != "clinician_id"]  # fmt: skip
    file, at, column = chance.choice(named)
    others = [row[column] for row in folder[file] if row[column] != folder[file][at][column]]
    before = folder[file][at][column]
    folder[file][at][column] = chance.choice(others or ["nobody"])
    places = about(folder, *folder[file][at].values(), before)
    return Mutation(f"{file}:{at + 2}:{column} is another's", folder, places)


def wrong_total(chance: random.Random, folder: Folder) -> Mutation:
    at = chance.randrange(len(folder["totals"]))
    folder["totals"][at]["balance"] = str(chance.choice([0, 1, -1, 100, 12050, "120.51", "-45.01"]))
    return Mutation(f"totals:{at + 2} is wrong", folder, {("totals.csv", at + 2)})


def swapped_rows(chance: random.Random, folder: Folder) -> Mutation:
    file, _ = pick(chance, folder)
    chance.shuffle(folder[file])
    return Mutation(f"{file} is in another order", folder)


def other_column(chance: random.Random, folder: Folder) -> Mutation:
    file, _ = pick(chance, folder)
    column = chance.choice(list(folder[file][0]))
    new = chance.choice([column.upper(), f"{column}_", "", "colour", None])
    for row in folder[file]:
        value = row.pop(column)
        if new is not None:
            row[new] = value
    return Mutation(f"{file}.{column} is called {new}", folder, None)


def file_bytes(chance: random.Random, folder: Folder) -> Mutation:
    """Change the bytes of a file: one of them, its end, its encoding, or its number of columns."""
    file, _ = pick(chance, folder)
    text = csv_text(folder[file])
    content = text.encode()
    at = chance.randrange(len(content))
    made = chance.choice(
        (
            content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :],
            content[:at],
            content[:at] + b'"' + content[at:],
            content[:at] + b"\0" + content[at:],
            content[:at] + b"\r" + content[at:],
            text.encode("utf-16"),
            text.replace("a", "ä").encode("latin-1"),
            content.replace(b",", b"\t"),
            content.replace(b",", b";"),
            content + b"," * 100_000,
            b"," * 100_000 + content,
            b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"),
            b"",
        )
    )
    return Mutation(f"bytes of {file} at {at}", folder, None, (f"{file}.csv", made))


def pdf_bytes(chance: random.Random, folder: Folder) -> Mutation:
    """Change the bytes of a PDF, or its name, or add one that no row names."""
    rows = folder["documents"]
    at = chance.randrange(len(rows))
    name = rows[at]["file"]
    if chance.random() < 0.2:
        places = {("old/other.pdf", 0)}
        return Mutation("a PDF without a row", folder, places, ("old/other.pdf", b"%PDF-1.4"))
    if chance.random() < 0.4:
        hostile = "../old/d1.pdf", "/etc/passwd", f"{name}\0", name.upper(), "old", f"./{name}"
        rows[at]["file"] = chance.choice((*hostile, rows[at - 1]["file"]))
        # Of two rows with one file the second is told.
        lines = {("documents.csv", at + 2), ("documents.csv", (at - 1) % len(rows) + 2)}
        return Mutation(f"documents:{at + 2}:file is another", folder, lines | {(name, 0)})
    made = chance.choice((None, b"", b"PK\3\4", b"%PD", b"\0%PDF-1.4", b" " + b"%PDF-1.4" * 99))
    return Mutation(f"bytes of {name}", folder, {("documents.csv", at + 2)}, (name, made))


def other_file(chance: random.Random, folder: Folder) -> Mutation:
    file = chance.choice(list(folder))
    if chance.random() < 0.5:
        del folder[file]
        return Mutation(f"{file} is missing", folder, None)
    folder[f"{file}s"] = folder[file]
    return Mutation(f"{file}s is there too", folder, None)


CHANGES: tuple[Callable[[random.Random, Folder], Mutation], ...] = (
    wrong_value, wrong_value, wrong_value, wrong_value, missing_row, doubled_row, other_client,
    other_client, wrong_total, swapped_rows, other_column, file_bytes, file_bytes, other_file,
    pdf_bytes, pdf_bytes,
)  # fmt: skip
