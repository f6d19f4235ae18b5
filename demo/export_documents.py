"""The documents of an invented export: superbills, and PDFs that another system gave out."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Row = Sequence[object]
# The diagnosis of all superbills, in words and by ICD-10-CM.
DIAGNOSIS = ("F41.1", "Generalized anxiety disorder")
OFFICE = "11"
FOLDER = "Documents"
PAGE = (
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
    " /Resources << /Font << /F1 5 0 R >> >> >>",
)
FONT = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


@dataclass
class ExportedDocuments:
    """The documents about a client's first invoice, of a period with the sessions on it."""

    client_id: str
    number: str
    first: dt.date
    last: dt.date
    rows: list[tuple[str, Row]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def add_invoice(self) -> None:
        own = f"I{self.number}-1", "", "", "", "", ""
        self.add_pdf("Invoice", f"DI{self.number}", f"Invoice {self.number}-001", own)

    def add_superbill(self, clinician: str, sessions: Sequence[Mapping[str, object]]) -> None:
        """Add a superbill with a line for each session, and its PDF."""
        superbill_id, issued_on = f"B{self.number}-1", american(self.last + dt.timedelta(7))
        period = american(self.first), american(self.last)
        head = superbill_id, self.client_id, f"B-{self.number}", issued_on, *period, clinician
        self.rows.append(("Superbills", head))
        self.rows.append(("Superbill Diagnoses", (superbill_id, 1, *DIAGNOSIS)))
        for visit, session in enumerate(sessions, 1):
            facts = session["Appointment ID"], session["Date"], OFFICE, session["CPT"], "1"
            self.rows.append(
                ("Superbill Visits", (superbill_id, visit, *facts, session["Fee"], ""))
            )
        own = "", superbill_id, "", "", "", ""
        self.add_pdf("Superbill", f"DB{self.number}", f"Superbill B-{self.number}", own)

    def add_statement(self) -> None:
        """Add the PDF of a statement, which is issued for it."""
        issued_on = american(self.last + dt.timedelta(10))
        own = "", "", f"S-{self.number}", issued_on, american(self.first), american(self.last)
        self.add_pdf("Statement", f"DS{self.number}", f"Statement S-{self.number}", own)

    def add_pdf(self, kind: str, document_id: str, title: str, own: Row) -> None:
        name = f"{FOLDER}/{document_id}.pdf"
        self.files[name] = one_page([title, "of an invented practice"])
        self.rows.append(("Documents", (document_id, self.client_id, kind, name, *own)))


def american(day: dt.date) -> str:
    return f"{day:%m/%d/%Y}"


def one_page(lines: Sequence[str]) -> bytes:
    """Return a PDF of one page with lines of plain text."""
    text = " ".join(f"({line}) Tj 0 -20 Td" for line in lines)
    drawn = f"BT /F1 14 Tf 72 700 Td {text} ET"
    content = f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream"
    made, places = "%PDF-1.4\n", list[int]()
    for number, body in enumerate((*PAGE, content, FONT), 1):
        places.append(len(made))
        made += f"{number} 0 obj\n{body}\nendobj\n"
    start = len(made)
    made += f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n"
    made += "".join(f"{place:010} 00000 n \n" for place in places)
    made += f"trailer\n<< /Size {len(places) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    return made.encode("ascii")
