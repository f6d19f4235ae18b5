"""Names as they are searched and ordered by: case and accents folded; and e-mail addresses."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func

WORD = re.compile(r"\w+")

# An e-mail address as it is compared: blanks around it and case don't count. The database folds
# it where it is indexed, so that whoever writes the rows has nothing to keep up to date.
FOLDED_EMAIL = "lower(ltrim(rtrim(email)))"


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


def folded_email(address: Any) -> Any:
    """FOLDED_EMAIL of a column, or of an address that is looked for."""
    return func.lower(func.ltrim(func.rtrim(address)))
