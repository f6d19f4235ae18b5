"""Mermaid diagrams of states in the documentation, generated from the tables of transitions.

`make diagrams` writes them again.
"""

import re
from collections.abc import Iterator

from models import ENDED_STATES, TRANSITIONS, PaymentState, State, Transitions
from tests.support.demo_server import PROJECT

ARCHITECTURE = PROJECT / "docs" / "architecture.md"
DIAGRAM = re.compile(r"(?P<begin><!-- begin: (?P<table>\w+) -->\n).*?(?=<!-- end -->)", re.DOTALL)


def diagram(transitions: Transitions) -> str:
    """Return the diagram of a table's states."""
    lines = "\n".join(f"    {line}" for line in edges(transitions))
    return f"```mermaid\nstateDiagram-v2\n{lines}\n```\n"


def edges(transitions: Transitions) -> Iterator[str]:
    for state, cause in transitions.first.items():
        yield f"[*] --> {state}: {cause}"
    for before, following in transitions.following.items():
        for after, cause in following.items():
            yield f"{before} --> {after}: {cause}"
    reached = {after: None for _, after in transitions.pairs()}
    for state in reached:
        if transitions.is_final(state) or is_end_of_payment(state):
            yield f"{state} --> [*]"


def is_end_of_payment(state: State) -> bool:
    """Return whether a payment may stay in this state, though another one can follow."""
    return isinstance(state, PaymentState) and state in ENDED_STATES


def with_diagrams(text: str) -> str:
    """Return a text of Markdown with each diagram between its marks."""
    tables = {transitions.table: transitions for transitions in TRANSITIONS.values()}
    return DIAGRAM.sub(lambda mark: mark["begin"] + diagram(tables[mark["table"]]), text)


if __name__ == "__main__":
    ARCHITECTURE.write_text(with_diagrams(ARCHITECTURE.read_text()))
