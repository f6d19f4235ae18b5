"""Comparison of names, without case, accents, apostrophes and characters between words."""

import unicodedata

# Replacements of letters that do not decompose, each written before a colon.
PLAIN = dict(
    pair.split(":")
    for pair in (
        "ø:o ł:l đ:d ħ:h ŧ:t ƶ:z ɓ:b ɗ:d ƙ:k ƴ:y ɨ:i ⱥ:a ð:d þ:th ŋ:n ı:i ə:e ɛ:e ɔ:o æ:ae œ:oe"
    ).split()
)
APOSTROPHES = "'’‘‛ʼʻ`´′"
INNER_DOT = "\u00b7"
UNSEEN = "\u00ad\u200b\u200c\u200d\u2060\ufeff\ufe0f"


def folded(text: str) -> str:
    """Return a text in the form used to order and search names."""
    return words(text, joined=True)


def words(text: str, *, joined: bool) -> str:
    for apostrophe in APOSTROPHES:
        text = text.replace(apostrophe, "" if joined else " ")
    # A letter may decompose into another letter and a dot.
    unseen = UNSEEN + (INNER_DOT if joined else "")
    kept = ""
    for letter in unicodedata.normalize("NFKD", text):
        for small in unicodedata.normalize("NFKD", letter.casefold()):
            if unicodedata.combining(small) or small in unseen:
                continue
            is_part = unicodedata.category(small)[0] in "LNM"
            kept += PLAIN.get(small, small if is_part else " ")
    return " ".join(kept.split())


def is_named(name: str, search: str) -> bool:
    """Return whether a name, from the start of one of its words, begins with the search text.

    Blanks find everybody. A text without letters finds nobody.
    """
    if not search.strip():
        return True
    beginning = folded(search)
    if not beginning:
        return False
    for joined in (True, False):
        left = words(name, joined=joined).split()
        while left:
            if " ".join(left).startswith(beginning):
                return True
            left = left[1:]
    return False
