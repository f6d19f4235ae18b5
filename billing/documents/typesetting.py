"""The PDF files of documents, made by typst: facts are passed as data, never as markup.

A PDF conforms to PDF/A-2a and PDF/UA-1, for archives and screen readers. Both reject some texts,
such as a character that no font has. Such a document is made without the two profiles, because each
client must get a document, and the log notes it.
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

from billing.documents.facts import Document

TEMPLATES = Path(__file__).parent / "templates"
PROFILE: list[Any] = ["a-2a", "ua-1"]
# The machine's fonts are used in addition to typst's own.
SYSTEM_FONTS = True
SAMPLE_TIME = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Printed:
    """A document's bytes. `is_archival` means that they conform to PDF/A-2a and PDF/UA-1."""

    content: bytes
    is_archival: bool


def render_pdf(document: Document, font_paths: Sequence[str] = ()) -> Printed:
    """Return the document as PDF. This takes some tens of milliseconds of CPU: don't run it on an
    event loop.

    A logo that can't be read is left out, and so are the archive profiles if they reject the text.
    """
    try:
        return Printed(compile_pdf(document, font_paths, PROFILE), is_archival=True)
    except typst.TypstError:
        if document.logo is not None and not can_be_printed(document.logo):
            log.error(
                "alert: %s is printed without its logo, which is not a picture", document.number
            )
            return render_pdf(replace(document, logo=None), font_paths)
        # Typst's message quotes the text, which may contain a name.
        log.warning("%s is not PDF/A: no font has all of its characters", document.number)
        return Printed(compile_pdf(document, font_paths, []), is_archival=False)


def can_be_printed(logo: bytes) -> bool:
    """Return whether the logo is a picture that typst and PDF/A accept."""
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


def fonts_show(text: str, font_paths: Sequence[str] = ()) -> bool:
    """Return whether the fonts have every character of a text."""
    try:
        typeset("fonts", {"text": str(printable(text))}, font_paths, PROFILE, SAMPLE_TIME)
    except typst.TypstError:
        return False
    return True


def compile_pdf(document: Document, font_paths: Sequence[str], profile: list[Any]) -> bytes:
    # The same facts give the same bytes, at any time of printing.
    issued = dt.datetime.combine(document.issued_on, dt.time(), dt.UTC)
    facts = printable(document.facts) | {"logo": list(document.logo or b"")}
    inputs = {"document": json.dumps(facts)}
    return typeset(document.kind.lower(), inputs, font_paths, profile, issued)


def typeset(
    template: str,
    inputs: dict[str, str],
    font_paths: Sequence[str],
    profile: list[Any],
    at: dt.datetime,
) -> bytes:
    content = typst.compile(
        TEMPLATES / f"{template}.typ",
        root=TEMPLATES,
        font_paths=[Path(folder) for folder in font_paths],
        ignore_system_fonts=not SYSTEM_FONTS,
        format="pdf",
        sys_inputs=inputs,
        pdf_standards=profile,
        timestamp=at,
    )
    assert isinstance(content, bytes)
    return content


def printable(facts: Any) -> Any:
    """Return the facts without control characters, which no font can show."""
    if isinstance(facts, str):
        return "".join(c for c in facts if c == "\n" or unicodedata.category(c) != "Cc")
    if isinstance(facts, dict):
        return {name: printable(fact) for name, fact in facts.items()}
    return [printable(fact) for fact in facts] if isinstance(facts, list) else facts
