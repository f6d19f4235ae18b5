"""PDF by typst: facts go in as data, never as markup.

A PDF is made as PDF/A-2a and PDF/UA-1 at once, for archives and screen readers. Both refuse some
texts, as a character that no font has; such a document is made without them, since no client is
left without a document, and the log says so.
"""

import datetime as dt
import json
import logging
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typst

from billing.documents.reading import Document

TEMPLATES = Path(__file__).parent.parent / "templates"
PROFILE: list[Any] = ["a-2a", "ua-1"]
# The machine's fonts are taken beside typst's own.
SYSTEM_FONTS = True
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Printed:
    """`is_archival`: it fulfils PDF/A-2a and PDF/UA-1."""

    content: bytes
    is_archival: bool


def printed(document: Document, font_paths: Sequence[str] = ()) -> Printed:
    """Return the document as PDF. It takes some tens of milliseconds of CPU: not for an event loop.

    A logo that is no picture is left out, as is the archives' profile where it refuses the text.
    """
    try:
        return Printed(compiled(document, font_paths, PROFILE), is_archival=True)
    except typst.TypstError:
        if document.logo is not None and not can_be_printed(document.logo):
            log.error("alert: %s is printed without its logo, which is no picture", document.number)
            return printed(replace(document, logo=None), font_paths)
        # What typst says has the text in it, which may be a name.
        log.warning("%s is no PDF/A: no font has all of its characters", document.number)
        return Printed(compiled(document, font_paths, []), is_archival=False)


def can_be_printed(logo: bytes) -> bool:
    """Whether it is a picture that typst takes, and that PDF/A takes too."""
    try:
        typst.compile(
            b'#set document(title: "Logo", date: datetime(year: 2026, month: 1, day: 1))\n'
            b'#image(bytes(json(bytes(sys.inputs.logo))), alt: "Logo")',
            format="pdf",
            sys_inputs={"logo": json.dumps(list(logo))},
            pdf_standards=PROFILE,
        )
    except typst.TypstError:
        return False
    return True


def compiled(document: Document, font_paths: Sequence[str], profile: list[Any]) -> bytes:
    # The same facts are the same bytes, whenever they are printed.
    issued = dt.datetime.combine(document.issued_on, dt.time(), dt.UTC)
    facts = shown(document.facts) | {"logo": list(document.logo or b"")}
    content = typst.compile(
        TEMPLATES / f"{document.kind.lower()}.typ",
        root=TEMPLATES,
        font_paths=[Path(folder) for folder in font_paths],
        ignore_system_fonts=not SYSTEM_FONTS,
        format="pdf",
        sys_inputs={"document": json.dumps(facts)},
        pdf_standards=profile,
        timestamp=issued,
    )
    assert isinstance(content, bytes)
    return content


def shown(facts: Any) -> Any:
    """The facts without control characters, which no font has and nobody sees."""
    if isinstance(facts, str):
        return "".join(c for c in facts if c == "\n" or unicodedata.category(c) != "Cc")
    if isinstance(facts, dict):
        return {name: shown(fact) for name, fact in facts.items()}
    return [shown(fact) for fact in facts] if isinstance(facts, list) else facts
