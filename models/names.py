"""Names as they are searched and ordered by: case and accents folded."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

WORD = re.compile(r"\w+")


def folded(name: str) -> str:
    """The name without case, accents and what isn't a word: "José O'Neill" is "jose o neill"."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(WORD.findall(letters))


def parts(client: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of ClientNamePart for a client's: the folded name from each of its words on."""
    own = {"practice_id": client["practice_id"], "client_id": client["id"]}
    words = folded(client["name"]).split()
    return [
        {**own, "position": position, "text": " ".join(words[position:])}
        for position in range(len(words))
    ]
