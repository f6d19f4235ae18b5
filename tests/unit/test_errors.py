"""docs/errors.md lists every error code of the server and of entries, and no other."""

import re
from pathlib import Path

from billing.entry.errors import EntryErrorCode

ROOT = Path(__file__).parents[2]
LISTED = re.compile(r"^\| `([A-Z_]+)` \|", re.MULTILINE)
# The ways in which the code writes an error code.
SAID = re.compile(
    r"""(?:graphql_error|FieldError|HTTPError|RequestError|with_code)\(\s*(?:\w+,\s*)?"([A-Z_]+)"|"code":\s*"([A-Z_]+)\""""
)


API, _, ENTRIES = (ROOT / "docs" / "errors.md").read_text().partition("\n## Refusals of entries\n")


def test_list_of_errors_is_complete() -> None:
    listed = set(LISTED.findall(API))
    said = {
        first or second
        for folder in ("server", "graph", "execution", "resolvers", "planner")
        for module in sorted((ROOT / folder).rglob("*.py"))
        for first, second in SAID.findall(module.read_text())
    }
    assert listed == said
    assert len(said) > 20


def test_list_of_refused_entries_is_complete() -> None:
    assert LISTED.findall(ENTRIES) == list(EntryErrorCode)
