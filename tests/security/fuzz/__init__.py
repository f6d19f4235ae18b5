"""Hostile requests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Hostile:
    """A request: its name, body, headers and method."""

    name: str
    content: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)
    method: str = "POST"


def document(name: str, query: str, **variables: Any) -> Hostile:
    return body(name, {"query": query, "variables": variables})


def body(name: str, value: Any) -> Hostile:
    return Hostile(name, json.dumps(value).encode())
