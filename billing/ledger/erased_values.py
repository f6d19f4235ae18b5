"""The values that an erasure leaves in the rows of the chain."""

from collections.abc import Sequence

from models import LedgerEntry, PrintedDocument, Row

ERASED, CLIENT_NAME = "erased", "Erased client"
TEXT = b"BT /F 12 Tf 72 770 Td (The content of this document was erased.) Tj ET"
PARTS = (
    b"<</Type/Catalog/Pages 2 0 R>>",
    b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
    b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
    b"/Resources<</Font<</F 5 0 R>>>>>>",
    b"<</Length %d>>stream\n%s\nendstream" % (len(TEXT), TEXT),
    b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
)


def pdf(parts: Sequence[bytes]) -> bytes:
    """Return a PDF file of these objects, of which the first is the catalog."""
    content, offsets = b"%PDF-1.4\n", list[int]()
    for number, part in enumerate(parts, 1):
        offsets.append(len(content))
        content += b"%d 0 obj%s\nendobj\n" % (number, part)
    rows = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(parts) + 1
    table = b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, rows)
    trailer = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, len(content))
    return content + table + trailer


# A page that says so, in the place of a document's own bytes.
NOTE = pdf(PARTS)
LEFT: dict[type[Row], str | bytes] = {LedgerEntry: ERASED, PrintedDocument: NOTE}
