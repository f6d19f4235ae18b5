"""Folded names for searching and ordering, and normalised e-mail addresses."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

# Apostrophes, letters that are written as one, and the middle dot of Catalan.
APOSTROPHES = re.compile("['`\u00b4\u00b7\u02b9-\u02bf\u02c8\u05f3\u2018-\u201b\u2032\ua78b\ua78c]")
# Letters that Unicode neither decomposes nor names after a letter of the alphabet.
LETTERS = {"ð": "d", "þ": "th", "ŋ": "n", "ĸ": "k", "ı": "i", "ȷ": "j"}
LETTERS |= {"ə": "e", "ɛ": "e", "ɔ": "o", "ɑ": "a", "ɩ": "i", "ʊ": "u"}
# As "LATIN SMALL LETTER O WITH STROKE" and "LATIN SMALL LIGATURE OE".
NAMED_AFTER = re.compile(r"LATIN SMALL (?:LETTER|LIGATURE) ([A-Z]{1,2})(?: WITH .*)?")
# Invisible marks that only select the shape of a letter.
INVISIBLE = re.compile("[\u034f\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def fold_name(name: str) -> str:
    """Return a name in the form that is searched and ordered by.

    Case, accents and apostrophes are removed, and letters that look like one of the alphabet are
    replaced by it: "José O'Brien-Łoś" becomes "jose obrien los". Other scripts keep their letters.
    """
    return plain_spelling(name, "")


def name_parts(client: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of ClientNamePart of a client: the folded name from each of its words on.

    The part after an apostrophe is found by itself too, as "brien" of "O'Brien". A name without any
    letter has one empty row, which no search matches.
    """
    own = {"practice_id": client["practice_id"], "client_id": client["id"]}
    texts = dict.fromkeys(
        [
            *text_from_each_word(fold_name(client["name"])),
            *text_from_each_word(plain_spelling(client["name"], " ")),
        ]
        or [""]
    )
    return [{**own, "position": position, "text": text} for position, text in enumerate(texts)]


def text_from_each_word(text: str) -> Iterator[str]:
    """Yield a text from each of its words on."""
    words = text.split()
    for position in range(len(words)):
        yield " ".join(words[position:])


def plain_spelling(name: str, apostrophe: str) -> str:
    """Return the plain words of a name, with a replacement for each of its apostrophes."""
    marked = APOSTROPHES.sub("'", name)
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", marked).casefold())
    letters = "".join(plain_letter(letter) for letter in APOSTROPHES.sub(apostrophe, decomposed))
    return " ".join(letters.split())


@lru_cache(4096)
def plain_letter(letter: str) -> str:
    """Return the plain form of a decomposed letter, or a blank if it is not part of a word."""
    category = unicodedata.category(letter)
    if unicodedata.combining(letter) or category == "Cf" or INVISIBLE.match(letter):
        return ""
    if letter in LETTERS:
        return LETTERS[letter]
    if match := NAMED_AFTER.fullmatch(unicodedata.name(letter, "")):
        return match[1].lower()
    return letter if letter.isalnum() or category.startswith("M") else " "


# -- e-mail addresses ------------------------------------------------------------------------------


class folded_email(FunctionElement[str]):
    """An e-mail address in normal form, without blanks around it and the case of ASCII letters.

    Case beyond ASCII is kept: mail servers may distinguish such mailboxes. `mailbox` is the same
    for a text.
    """

    type = Text()
    inherit_cache = True


@compiles(folded_email)
def in_sql(element: folded_email, compiler: Any, **given: Any) -> str:
    """Write the expression for SQLite. Its lower() only changes ASCII letters."""
    return f"lower(ltrim(rtrim({compiler.process(element.clauses, **given)})))"


@compiles(folded_email, "postgresql")
def in_postgresql(element: folded_email, compiler: Any, **given: Any) -> str:
    """Write the expression for PostgreSQL. Its lower() would follow the database's own locale."""
    address = compiler.process(element.clauses, **given)
    return f'lower(ltrim(rtrim({address})) COLLATE "C")'


def mailbox(address: str) -> str:
    """Return an e-mail address in the form of `folded_email`."""
    return address.strip(" ").encode().lower().decode()
