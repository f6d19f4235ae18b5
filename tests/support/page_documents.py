"""The portal page's manifest, and the ids with which it asks: `make documents` writes both."""

from pathlib import Path

from server.cli.document_report import DocumentReport
from server.document_manifest import PAGE_MANIFEST
from server.web_files import PORTAL_PAGE

QUERIES, IDS = PORTAL_PAGE / "queries", PORTAL_PAGE / "document-ids.js"
HEAD = "/** Ids of the page's documents by the names of their files: see `make documents`. */"


def written_files() -> dict[Path, str]:
    """Return the texts of the two files, as the documents are now."""
    report = DocumentReport(QUERIES)
    ids = {Path(each.path).stem: each.id for each in report.folder.operations}
    lines = [f'  "{name}": "{id_}",' for name, id_ in sorted(ids.items())]
    module = "\n".join(
        [HEAD, "/** @type {Readonly<Record<string, string>>} */", "export const IDS = {"]
    )
    return {
        PAGE_MANIFEST: report.manifest(),
        IDS: "\n".join([module, *lines, "};", ""]),
    }


if __name__ == "__main__":
    for file, text in written_files().items():
        file.write_text(text, encoding="utf-8")
