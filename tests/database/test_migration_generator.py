"""Revisions written by the generator pass the linters and are right on both databases."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.demo_server import PROJECT

pytestmark = pytest.mark.rest

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]

# Changes of the mapped classes by a developer: module, text before, text after.
CHANGES = (
    (
        "invoice",
        "    notes: Mapped[str | None]\n",
        "    po_number: Mapped[str | None]\n    discount_minor: Mapped[Minor | None]\n"
        "    reminded_at: Mapped[dt.datetime | None]\n",
    ),
    (
        "invoice",
        '        CheckConstraint("is_void = (voided_on IS NOT NULL)", name="void_has_a_day"),\n',
        '        CheckConstraint("is_void = (voided_on IS NOT NULL)", name="void_has_a_day"),\n'
        '        CheckConstraint("discount_minor >= 0", name="discount_positive"),\n'
        '        Index("ix_invoice_po", "practice_id", text("lower(po_number)")),\n'
        '        Index("ix_invoice_discount", "practice_id", text("abs(discount_minor)")),\n',
    ),
    ("payment", '    OTHER = "OTHER"\n', '    OTHER = "OTHER"\n    GIFT_CARD = "GIFT_CARD"\n'),
    (
        "practice",
        "    clients_remove_cards: Mapped[bool]\n",
        "    clients_remove_cards: Mapped[bool]\n    motto: Mapped[str | None]\n",
    ),
    (
        "versioned_tables",
        '    "letterhead": OF_ALL,\n',
        '    "letterhead": OF_ALL,\n    "colour": OF_ALL,\n',
    ),
    ("session", 'CheckConstraint("fee_minor >= 0"', 'CheckConstraint("fee_minor >= -1"'),
    (
        "access_entry",
        "    arguments: Mapped[str | None]\n",
        "    arguments: Mapped[str | None]\n    page: Mapped[Count | None]\n",
    ),
    (
        "logo",
        "from models.row import",
        "from sqlalchemy import Index, text\n\nfrom models.append_only import APPEND_ONLY\n"
        "from models.row import",
    ),
    (
        "logo",
        "\n\nclass Logo(Row):",
        "\n\nclass Colour(Row):\n"
        '    """A colour of a practice."""\n\n'
        '    __tablename__ = "colour"\n'
        "    __table_args__ = (\n        practice_reference(),\n"
        '        Index("uq_colour_hue", "practice_id", "hue", unique=True,'
        ' sqlite_where=text("hue > 0"), postgresql_where=text("hue > 0")),\n'
        "        APPEND_ONLY,\n    )\n\n"
        "    practice_id: Mapped[Key]\n"
        "    id: Mapped[Key]\n"
        "    since: Mapped[dt.date]\n"
        "    hue: Mapped[int]\n"
        "    changed_at: Mapped[dt.datetime]\n"
        "\n\nclass Logo(Row):",
    ),
)
# Changes after those, for a second revision: an index over an expression changes, and one goes.
LATER_CHANGES = (
    ("invoice", 'text("lower(po_number)")', 'text("upper(po_number)")'),
    (
        "invoice",
        '        Index("ix_invoice_discount", "practice_id", text("abs(discount_minor)")),\n',
        "",
    ),
)


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the mapped classes, change them twice, and generate a revision each time; return the
    folder.
    """
    folder = tmp_path_factory.mktemp("changed")
    shutil.copytree(PROJECT / "models", folder / "models")
    shutil.copy(PROJECT / "pyproject.toml", folder)
    (folder / "tests").symlink_to(PROJECT / "tests")
    for changes in (CHANGES, LATER_CHANGES):
        for module, before, after in changes:
            path = folder / "models" / f"{module}.py"
            text = path.read_text()
            assert text.count(before) == 1, (module, before)
            path.write_text(text.replace(before, after))
        written = run(folder, "-m", "models.migrations", "discounts of invoices")
        assert written.returncode == 0, written.stderr
    return folder


def revisions(folder: Path) -> list[Path]:
    """Return the generated revisions."""
    return sorted((folder / "models" / "migrations" / "versions").glob("000[23]_*.py"))


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(folder), "MYPYPATH": str(folder)}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.skipif(find_spec("ruff") is None, reason="make .venv/.lint installs the linters")
@pytest.mark.parametrize(
    "command", ["ruff format --check", "ruff check", "mypy --strict --follow-imports=silent"]
)
def test_generated_revisions_pass_the_linters(changed: Path, command: str) -> None:
    paths = revisions(changed)
    assert len(paths) == 2
    program, *arguments = command.split()
    checked = run(changed, "-m", program, *arguments, *map(str, paths))
    assert checked.returncode == 0, checked.stdout + checked.stderr + text_of(paths)


def test_generated_revisions_have_no_remarks_of_the_generator(changed: Path) -> None:
    assert "# ###" not in text_of(revisions(changed))


async def test_generated_revisions_make_the_mapped_schema_and_roll_back(
    changed: Path, new_database: NewDatabase
) -> None:
    """Every check, index and trigger is compared, after the upgrade and after the downgrade."""
    async with new_database() as migrated, new_database() as described:
        compared = run(changed, "-m", "tests.support.migrated", migrated, described)
    written = text_of(revisions(changed))
    assert compared.returncode == 0, compared.stdout + compared.stderr + written


def text_of(paths: list[Path]) -> str:
    return "\n".join(path.read_text() for path in paths)
