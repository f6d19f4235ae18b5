"""The list of errors: every code that the server says, and none that it doesn't."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
LISTED = re.compile(r"^\| `([A-Z_]+)` \|", re.MULTILINE)
# A code is written where the refusal is made, in one of these ways.
SAID = re.compile(
    r"""(?:refusal|Refusal|TurnedAway|coded)\(\s*(?:\w+,\s*)?"([A-Z_]+)"|"code":\s*"([A-Z_]+)\""""
)


def test_the_list_of_errors_is_whole() -> None:
    listed = set(LISTED.findall((ROOT / "docs" / "errors.md").read_text()))
    said = {
        first or second
        for folder in ("server", "graph", "resolvers")
        for module in sorted((ROOT / folder).rglob("*.py"))
        for first, second in SAID.findall(module.read_text())
    }
    assert listed == said
    assert len(said) > 20
