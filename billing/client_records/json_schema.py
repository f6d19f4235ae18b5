"""The JSON Schema of `record.json`, from the tables themselves."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import JSON, Column, Enum

from billing.client_records.tables import RECORD, RecordTable
from models.checks import python_type

FORMAT = "client-record/1"
# The meaning of a column by the end of its name.
MEANINGS = {
    "_minor": "An amount in the smallest unit of the practice's currency, as cents.",
    "_hundredths": "A number in hundredths: 150 is 1.50.",
    "_on": "A day in the practice's time zone.",
    "_at": "A moment in UTC.",
    "_id": "The id of a row, which other rows name.",
    "hash": "A SHA-256, in hexadecimal.",
}
FORMATS = {"datetime": "date-time", "date": "date"}
TYPES = {"int": "integer", "bool": "boolean"}


def record_schema() -> dict[str, Any]:
    """Return the schema, in the dialect of 2020-12."""
    tables = {table.name: table_schema(table) for table in RECORD}
    head = {
        "format": {"const": FORMAT},
        "exported_at": {"type": "string", "format": "date-time"},
        "practice": object_schema("id name currency time_zone".split(), "The practice."),
        "documents": {
            "type": "array",
            "description": "The PDF files: the bytes that were given out, by their SHA-256.",
            "items": object_schema("kind document_id number is_void file sha256".split()),
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The record of one client",
        "description": "Each property but the first four is a table: all rows of the client.",
        "type": "object",
        "properties": head | tables,
        "required": [*head, *tables],
        "additionalProperties": False,
    }


def object_schema(names: Sequence[str], description: str | None = None) -> dict[str, Any]:
    """Return the schema of an object of texts, of which `is_void` is a truth value."""
    types = {name: {"type": "boolean" if name == "is_void" else "string"} for name in names}
    told = {"description": description} if description else {}
    return told | {
        "type": "object",
        "properties": types,
        "required": [*names],
        "additionalProperties": False,
    }


def table_schema(table: RecordTable) -> dict[str, Any]:
    return {
        "type": "array",
        "description": table.description,
        "items": {
            "type": "object",
            "properties": {column.name: column_schema(column) for column in table.columns},
            "required": [column.name for column in table.columns],
            "additionalProperties": False,
        },
    }


def column_schema(column: Column[Any]) -> dict[str, Any]:
    meaning = next((text for end, text in MEANINGS.items() if column.name.endswith(end)), None)
    schema: dict[str, Any] = {"description": meaning} if meaning else {}
    if isinstance(column.type, JSON):
        return schema | {"type": "array"}
    type_ = python_type(column.type)
    if isinstance(column.type, Enum) and column.type.enum_class is not None:
        members: list[str | None] = [member.value for member in column.type.enum_class]
        return schema | {"enum": [*members, None] if column.nullable else members}
    name = TYPES.get(type_.__name__, "string")
    if type_.__name__ in FORMATS:
        schema["format"] = FORMATS[type_.__name__]
    return schema | {"type": [name, "null"] if column.nullable else name}
