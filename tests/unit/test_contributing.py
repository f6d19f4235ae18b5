"""The recipes of CONTRIBUTING.md name files that exist, and the recipe for a field works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.demo_server import PROJECT

NAMED = re.compile(r"`([a-z_]+(?:/[\w.-]+)+/?)`")
COPIED = ("*.py", "*.md", "*.toml", "*.graphql", "*.typ", "*.json")

# The edits of "Add a field to Invoice": the file, a line in it, and the line to put after it.
EDITS = {
    "models/invoice.py": (
        "    notes: Mapped[str | None]\n",
        "    purchase_order: Mapped[str | None]\n",
    ),
    "models/migrations/versions/0001_every_table.py": (
        '        sa.Column("notes", sa.Text(), nullable=True),\n',
        '        sa.Column("purchase_order", sa.Text(), nullable=True),\n',
    ),
    "graph/types/invoice.py": (
        "class Invoice(Node):\n",
        "    purchase_order: str | None = column(\n"
        '        models.Invoice.purchase_order, "The payer\'s order number.", scopes=BILLING\n'
        "    )\n",
    ),
    "tests/security/test_scopes.py": (
        "PLAIN = {\n",
        '    "the payer\'s own number": {"Invoice.purchaseOrder"},\n',
    ),
    "tests/support/practices/histories.py": (
        '        given = {"shared_at": self.shared(), ',
        '"purchase_order": self.maybe("PO-7"), ',
    ),
}


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md", "docs/testing.md"])
def test_named_paths_exist(name: str) -> None:
    paths = set(NAMED.findall((PROJECT / name).read_text()))
    assert {path for path in paths if not (PROJECT / path).exists()} == set()


def test_the_recipe_for_a_field_names_the_edited_files() -> None:
    _, _, recipe = (PROJECT / "CONTRIBUTING.md").read_text().partition("### Add a field to Invoice")
    recipe = recipe.partition("### Add a list")[0]
    migration = "models/migrations/versions/0001_every_table.py"
    assert {path for path in EDITS if f"`{path}`" not in recipe} == {migration}


@pytest.mark.faults
def test_the_recipe_for_a_field_works_in_a_scratch_copy(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    listed = subprocess.check_output(["git", "ls-files", "-z", *COPIED], cwd=PROJECT, text=True)
    for path in filter(None, listed.split("\0")):
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / path, copy / path)
    for path, (line, added) in EDITS.items():
        text = (copy / path).read_text()
        assert text.count(line) == 1, path
        (copy / path).write_text(text.replace(line, line + added))
    contract = run(copy, "-m", "server", "schema")
    assert "purchaseOrder: String" in contract
    (copy / "schema.graphql").write_text(contract)
    run(copy, "-m", "server", "schema", "--check")
    tests = ("tests/security/test_scopes.py", "tests/database/test_migrations.py")
    run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "text or sqlite", *tests)


def run(folder: Path, *command: str) -> str:
    """Run Python in a folder, with that folder's packages before those installed."""
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout[-3_000:] + ended.stderr[-3_000:]
    return ended.stdout
