"""Names as they are searched and ordered by: case and accents folded."""

import re
import unicodedata
from typing import Any

WORD = re.compile(r"\w+")


def folded(name: str) -> str:
    """The name without case, accents and what isn't a word: "José O'Neill" is "jose o neill"."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(WORD.findall(letters))


def parts(practice_id: str, client_id: str, name: str) -> list[dict[str, Any]]:
    """Rows of ClientNamePart: the folded name from each of its words on."""
    words = folded(name).split()
    return [
        {
            "practice_id": practice_id,
            "client_id": client_id,
            "position": position,
            "text": " ".join(words[position:]),
        }
        for position in range(len(words))
    ]
