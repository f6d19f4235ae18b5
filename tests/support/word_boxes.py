"""Positions of the words in a PDF."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pypdfium2  # type: ignore[import-untyped]  # It ships no types.

STORED = Path(__file__).parent / "word_boxes"


class Box(NamedTuple):
    """A word on a page, with its left, bottom, right and top in points from the lower left."""

    page: int
    word: str
    left: float
    bottom: float
    right: float
    top: float

    def is_near(self, other: "Box", points: float) -> bool:
        same = (self.page, self.word) == (other.page, other.word)
        return same and all(abs(a - b) <= points for a, b in zip(self[2:], other[2:], strict=True))


def boxes(pdf: bytes) -> list[Box]:
    """Return all words, in the order of the text."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [box for number, page in enumerate(document, 1) for box in on_page(number, page)]
    finally:
        document.close()


def on_page(number: int, page: pypdfium2.PdfPage) -> Iterator[Box]:
    text = page.get_textpage()
    letters, word = text.get_text_range(), list[int]()
    for at, letter in enumerate([*letters, " "]):
        if not letter.isspace():
            word.append(at)
        elif word:
            corners = [text.get_charbox(each) for each in word]
            sides = zip(*corners, strict=True)
            left, bottom, right, top = (
                round(extreme(side), 1)
                for extreme, side in zip((min, min, max, max), sides, strict=True)
            )
            yield Box(number, "".join(letters[each] for each in word), left, bottom, right, top)
            word = []


def stored(name: str) -> list[Box]:
    return [Box(*each) for each in json.loads((STORED / f"{name}.json").read_text())]


def store(name: str, found: list[Box]) -> None:
    STORED.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(box, ensure_ascii=False) for box in found)
    (STORED / f"{name}.json").write_text(f"[\n{lines}\n]\n")


def differences(found: list[Box], expected: list[Box], points: float) -> list[str]:
    """Return the words that moved, disappeared or are new."""
    if len(found) != len(expected):
        return [f"{len(found)} words, not {len(expected)}"]
    pairs = zip(found, expected, strict=True)
    return [f"{a}, not {b}" for a, b in pairs if not a.is_near(b, points)]
