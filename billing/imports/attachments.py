"""The PDFs that documents.csv names: in the folder, of the form, and within the limits.

A PDF is read twice: for its hash before the import begins, and for its bytes when its document is
entered. It is kept byte for byte, and nothing in it is interpreted.
"""

from collections import Counter
from hashlib import sha256

from billing.imports.faults import Complaint, Faults
from billing.imports.folders import PDF, UNREADABLE, Folder
from billing.imports.layouts import BY_NAME
from billing.imports.staging import StagedRow, Staging

# The bytes that each PDF begins with.
MARK = b"%PDF-"
# The bytes of one PDF, of all PDFs of a client, and of all PDFs of an import.
LARGEST_PDF = 10 << 20
LARGEST_OF_CLIENT = 100 << 20
LARGEST_TOGETHER = 4 << 30
NOT_THERE = Complaint(
    "is no file of the folder", "add the PDF, or correct its path", "NO_SUCH_FILE"
)
NOT_PDF = Complaint("is no PDF", "put the document there as PDF")


class FileChanged(Exception):
    """A file that has changed since its import began."""


def check_attachments(staging: Staging, faults: Faults) -> None:
    """Note the hash of each PDF. Refuse PDFs that are missing, wrong, or named by no document."""
    source = staging.staged.get("documents")
    if source is None or source.folder is None:
        return
    layout, folder = BY_NAME["documents"], source.folder
    there, named = set(folder.names()), dict[str, int]()
    sizes = Counter[str]()
    for row in list(staging.select("SELECT * FROM documents WHERE file IS NOT NULL ORDER BY line")):
        try:
            content = checked_content(folder, row, there, named)
            sizes[row["client_id"] or ""] += len(content)
            check_sizes(sizes, row)
        except Complaint as complaint:
            column = staging.heading(layout, "file")
            faults.complain(staging.path(layout), row["line"], column, complaint)
        else:
            digest = sha256(content).hexdigest()
            staging.execute("UPDATE documents SET sha256 = ? WHERE line = ?", digest, row["line"])
    for name in sorted(there - named.keys()):
        if name.lower().endswith(PDF):
            remedy = f"add its document to {staging.path(layout)}, or leave the file out"
            faults.add(name, 0, "", "UNKNOWN_FILE", "is the PDF of no document", remedy)


def checked_content(
    folder: Folder, row: StagedRow, there: set[str], named: dict[str, int]
) -> bytes:
    """Return the bytes of a PDF. Raise a Complaint if it can't be kept.

    Only a name that the folder itself has is opened: no path leads out of it.
    """
    name: str = row["file"]
    if name not in there or not name.lower().endswith(PDF):
        raise NOT_THERE
    if named.setdefault(name, row["line"]) != row["line"]:
        remedy = "give each document a file of its own"
        raise Complaint(f"is the file of line {named[name]} too", remedy, "DUPLICATE")
    try:
        content = read_pdf(folder, name)
    except UNREADABLE as error:
        wrong = f"can't be read ({type(error).__name__})"
        raise Complaint(wrong, "copy the file again", "UNREADABLE") from None
    if len(content) > LARGEST_PDF:
        wrong = f"is larger than {LARGEST_PDF:,} bytes"
        raise Complaint(wrong, "make the PDF smaller, or leave it out", "TOO_LARGE")
    if not content.startswith(MARK):
        raise NOT_PDF
    return content


def check_sizes(sizes: Counter[str], row: StagedRow) -> None:
    """Refuse a PDF with which those of its client, or of all clients, are too many bytes."""
    for size, most, whose in (
        (sizes[row["client_id"] or ""], LARGEST_OF_CLIENT, "the client"),
        (sizes.total(), LARGEST_TOGETHER, "all clients"),
    ):
        if size > most:
            wrong = f"exceeds, with the PDFs before, {most >> 20:,} MiB of {whose}"
            raise Complaint(wrong, "make the PDFs smaller, or split the import", "TOO_LARGE")


def read_pdf(folder: Folder, name: str) -> bytes:
    """Return the bytes of a file, or one more than a PDF may have."""
    with folder.open(name) as file:
        return file.read(LARGEST_PDF + 1)


def read_attachment(staging: Staging, row: StagedRow) -> bytes:
    """Return the bytes of a PDF whose hash is known."""
    folder = staging.staged["documents"].folder
    assert folder is not None
    try:
        content = read_pdf(folder, row["file"])
    except UNREADABLE:
        raise FileChanged(row["file"]) from None
    if sha256(content).hexdigest() != row["sha256"]:
        raise FileChanged(row["file"])
    return content
