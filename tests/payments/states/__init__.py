"""The allowed transitions, written down apart from the code, and a list of the code's writes."""

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from models import (
    CardSetup,
    Dispute,
    DisputeState,
    Payment,
    PaymentState,
    Refund,
    RefundState,
    SetupState,
)
from tests.support.demo_server import PROJECT

ROWS: Mapping[type, Any] = {
    PaymentState: Payment,
    RefundState: Refund,
    DisputeState: Dispute,
    SetupState: CardSetup,
}
# Each state with the states that may follow it.
ALLOWED = """
    payment CREATED           CONFIRMING SUCCEEDED CANCELED
    payment CONFIRMING        REQUIRES_ACTION PROCESSING SUCCEEDED FAILED CANCELED
    payment REQUIRES_ACTION   CONFIRMING PROCESSING SUCCEEDED FAILED CANCELED
    payment PROCESSING        CONFIRMING REQUIRES_ACTION SUCCEEDED FAILED CANCELED
    payment FAILED            SUCCEEDED
    payment CANCELED          SUCCEEDED
    refund REQUESTED          PENDING SUCCEEDED FAILED
    refund PENDING            SUCCEEDED FAILED
    refund SUCCEEDED          FAILED
    dispute OPEN              WON LOST
    card_setup PREPARED       KEPT REFUSED CANCELED UNMADE
"""


def allowed_transitions() -> set[tuple[str, str, str]]:
    """Return each allowed transition: table, state before and state after."""
    lines = (line.split() for line in ALLOWED.strip().splitlines())
    return {(table, before, after) for table, before, *following in lines for after in following}


# -- the code's writes -----------------------------------------------------------------------------

WRITER = "billing/payments/states.py"
PACKAGES = ("billing", "demo", "execution", "graph", "identity", "models", "resolvers", "server")


def writes_of_states() -> set[str]:
    """Return the files that assign a column `state`, but for the migrations."""
    files = (path for package in PACKAGES for path in (PROJECT / package).rglob("*.py"))
    return {
        str(path.relative_to(PROJECT))
        for path in files
        if "migrations" not in path.parts and any(assignments(path.read_text()))
    }


def assignments(source: str) -> Iterator[int]:
    """Give the lines that may assign a column `state`.

    These are a keyword, a dictionary's key, a subscript or an attribute of this name, and SQL.
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(keywords=keywords) if any(one.arg == "state" for one in keywords):
                yield node.lineno
            case ast.Dict(keys=keys) if any(is_state(key) for key in keys):
                yield node.lineno
            case ast.Subscript(slice=key, ctx=ast.Store()) if is_state(key):
                yield node.lineno
            case ast.Attribute(attr="state", ctx=ast.Store()):
                yield node.lineno
            case ast.Constant(value=str(text)) if "SET STATE" in " ".join(text.upper().split()):
                yield node.lineno


def is_state(key: ast.expr | None) -> bool:
    """Return whether a key is the name of the column, or the column."""
    match key:
        case ast.Constant(value="state") | ast.Attribute(attr="state"):
            return True
    return False
