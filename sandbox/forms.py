"""Stripe's forms: parameters as text, with brackets for nested ones."""

import re
from typing import Any
from urllib.parse import parse_qsl

Object = dict[str, Any]


def parse_form(form: str) -> Object:
    """Read brackets as objects and lists: `metadata[payment]=…`, `expand[0]=…`, `types[]=…`."""
    made: Object = {}
    for name, value in parse_qsl(form, keep_blank_values=True):
        first, *rest = re.findall(r"^[^\[\]]+|\[[^\[\]]*\]", name) or [name]
        insert_value(made, [first, *(part[1:-1] for part in rest)], value)
    return {name: lists(value) for name, value in made.items()}


def insert_value(inside: Object, parts: list[str], value: str) -> None:
    for part in parts[:-1]:
        deeper = inside.setdefault(part or str(len(inside)), {})
        # If a name is a value and an object at once, the later one counts.
        if not isinstance(deeper, dict):
            deeper = inside[part] = {}
        inside = deeper
    inside[parts[-1] or str(len(inside))] = value


def lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = {name: lists(inner) for name, inner in value.items()}
    is_list = bool(items) and all(name.isdigit() for name in items)
    return [items[name] for name in sorted(items, key=int)] if is_list else items
