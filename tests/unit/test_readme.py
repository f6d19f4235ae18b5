"""The documentation's lists agree with the code."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from server.settings import Settings
from tests.support.demo_server import PROJECT

MARKDOWN = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "bench/*.md", "planner/*.md", "tests/**/*.md")
    for path in PROJECT.glob(pattern)
)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)|src=\"([^\"]*)\"")


def test_table_of_settings_is_the_list_of_settings() -> None:
    lines = (PROJECT / "docs" / "operations.md").read_text().splitlines()
    rows = {line.split("`")[1]: line for line in lines if line.startswith("| `")}
    assert rows.keys() == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        assert field.description
        assert rows[name.upper()].endswith(f"| {field.description} |"), name
        if field.default is PydanticUndefined:
            assert "| required |" in rows[name.upper()]


def test_every_package_is_described_in_the_architecture() -> None:
    architecture = (PROJECT / "docs" / "architecture.md").read_text()
    packages = {path.parent.name for path in PROJECT.glob("*/__init__.py")}
    assert {name for name in packages if f"| `{name}/` |" not in architecture} == set()


def test_readme_is_short() -> None:
    readme = (PROJECT / "README.md").read_text()
    assert len(readme.splitlines()) <= 120
    assert len(readme.split()) <= 900


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(PROJECT)))
def test_links_lead_to_files_and_headings(path: Path) -> None:
    broken = [
        f"{target}#{anchor}"
        for target, anchor, source in LINK.findall(without_code(path.read_text()))
        if not leads_somewhere(path, target or source, anchor)
    ]
    assert broken == []


def leads_somewhere(path: Path, target: str, anchor: str) -> bool:
    file = path.parent / target if target else path
    return file.exists() and (not anchor or anchor in anchors(file.read_text()))


def without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors(text: str) -> Iterator[str]:
    """Yield the anchors that GitHub gives to a document's headings."""
    for heading in re.findall(r"^#+ (.*)$", without_code(text), re.MULTILINE):
        yield re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
