"""Validation by Stripe's schemas: OpenAPI's dialect converted to closed JSON Schema.

Stripe's objects are open, so a misspelt field would be valid. Here an object has only the schema's
fields. `nullable` becomes a type that includes null.
"""

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


def validator(schema: Schema) -> Draft202012Validator:
    return Draft202012Validator(converted(schema), registry=registry())


def problems(judge: Draft202012Validator, value: Any) -> Iterator[str]:
    """List the errors of a value: the place, and the rule."""
    for error in judge.iter_errors(value):
        deepest = best_match([error]) or error
        yield f"{place(deepest)}: {deepest.message[:200]}"


def place(error: ValidationError) -> str:
    return ".".join(str(part) for part in error.absolute_path) or "(the whole)"
