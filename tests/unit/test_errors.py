"""docs/errors.md lists every error code of the server, and no other."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LISTED = re.compile(r"^\| `([A-Z_]+)` \|", re.MULTILINE)
# The ways in which the code writes an error code.
SAID = re.compile(
    r"""(?:graphql_error|FieldError|HTTPError|with_code)\(\s*(?:\w+,\s*)?"([A-Z_]+)"|"code":\s*"([A-Z_]+)\""""
)


def test_list_of_errors_is_complete() -> None:
    listed = set(LISTED.findall((ROOT / "docs" / "errors.md").read_text()))
    said = {
        first or second
        for folder in ("server", "graph", "execution", "resolvers", "planner")
        for module in sorted((ROOT / folder).rglob("*.py"))
        for first, second in SAID.findall(module.read_text())
    }
    assert listed == said
    assert len(said) > 20
