"""Validation by Stripe's schemas: OpenAPI's dialect converted to closed JSON Schema.

Stripe's objects are open, so a misspelt field would be valid. Here an object has only the schema's
fields. `nullable` becomes a type that includes null.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tests.sandbox.specification.document import Schema, document

BASE = "stripe:"
# Keywords that both dialects share.
KEPT = ("type", "enum", "maxLength", "pattern", "required")
LETTER = re.compile(r"\w")


@cache
def registry() -> Registry[Any]:
    named = {name: converted(schema) for name, schema in document()["schemas"].items()}
    resource = DRAFT202012.create_resource({"$defs": named})
    made: Registry[Any] = Registry().with_resource(BASE, resource)
    return made


def converted(schema: Schema) -> Schema:
    """Return Stripe's schema in JSON Schema's words."""
    if "$ref" in schema:
        return {"$ref": f"{BASE}#/$defs/{schema['$ref'].rpartition('/')[2]}"}
    made: Schema = {name: schema[name] for name in KEPT if name in schema}
    if "properties" in schema:
        inner = schema["properties"].items()
        made["properties"] = {name: converted(one) for name, one in inner}
        made["additionalProperties"] = False
    if isinstance(schema.get("additionalProperties"), Mapping):
        made["additionalProperties"] = converted(schema["additionalProperties"])
    if "items" in schema:
        made["items"] = converted(schema["items"])
    if "anyOf" in schema:
        made["anyOf"] = [converted(one) for one in schema["anyOf"]]
    return {"anyOf": [{"type": "null"}, made]} if schema.get("nullable") else made


class Judge:
    """The judgement of values by a schema. Values of the same form are judged once."""

    def __init__(self, schema: Schema) -> None:
        self.validator = Draft202012Validator(converted(schema), registry=registry())
        self.valid_forms = set[str]()

    def problems(self, value: Any) -> Iterator[str]:
        """List the errors of a value: the place, and the rule."""
        form = json.dumps(form_of(value))
        if form in self.valid_forms:
            return
        is_valid = True
        for error in self.validator.iter_errors(value):
            is_valid = False
            deepest = best_match([error]) or error
            yield f"{place(deepest)}: {deepest.message[:200]}"
        if is_valid:
            self.valid_forms.add(form)


def form_of(value: Any) -> Any:
    """Return a value that is judged alike, and that is the same for other ids, times and amounts.

    Of a number only the type counts in these schemas, and of a text the length, unless it is a word
    of an enum or an address, which may have a pattern.
    """
    if isinstance(value, Mapping):
        return {name: form_of(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [form_of(inner) for inner in value]
    if isinstance(value, str):
        return value if value in words() or "/" in value else LETTER.sub("x", value)
    return 0 if type(value) is int else value


@cache
def words() -> frozenset[str]:
    """Return the values of all enums."""
    found = set[str]()
    parts: list[Any] = [document()]
    while parts:
        part = parts.pop()
        if isinstance(part, Mapping):
            found |= {one for one in part.get("enum", ()) if isinstance(one, str)}
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    return frozenset(found)


def place(error: ValidationError) -> str:
    return ".".join(str(part) for part in error.absolute_path) or "(the whole)"
