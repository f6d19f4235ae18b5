"""How names are compared: without case, accents and what is no part of a word."""

import unicodedata


def folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join(
        "".join(
            letter if letter.isalnum() or letter == "_" else " "
            for letter in plain
            if not unicodedata.combining(letter)
        ).split()
    )


def is_named(name: str, search: str) -> bool:
    """Whether a name, from one of its words on, begins with what is searched."""
    words = folded(name).split()
    begins = (" ".join(words[number:]) for number in range(len(words)))
    return any(begin.startswith(folded(search)) for begin in begins)
