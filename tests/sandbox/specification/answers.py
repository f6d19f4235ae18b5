"""Responses and events compared with the specification's schemas."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from sandbox.calls import Call
from tests.sandbox.specification.document import document
from tests.sandbox.specification.requests import operation
from tests.sandbox.specification.schemas import Judge

JSON = "application/json"


def answer_problems(call: Call, status: int, answer: Any) -> Iterator[str]:
    """List the deviations of a response, or of an error, from the specification."""
    responses = operation(call)["responses"]
    name = str(status) if str(status) in responses else "default"
    yield from judge(call, name).problems(answer)


@cache
def judge(call: Call, name: str) -> Judge:
    return Judge(operation(call)["responses"][name]["content"][JSON]["schema"])


@cache
def judge_of(schema: str) -> Judge:
    return Judge({"$ref": f"#/components/schemas/{schema}"})


def event_problems(event: Mapping[str, Any]) -> Iterator[str]:
    """List the deviations of an event and its object from the specification."""
    yield from judge_of("event").problems(event)
    if event.get("api_version") != document()["version"]:
        yield f"the API version {event.get('api_version')} is not the specification's"
    about = event["data"]["object"]
    kind = "deleted_customer" if about.get("deleted") else about.get("object")
    if kind not in document()["schemas"]:
        yield f"an event is about {kind!r}, of which the specification has no schema"
    else:
        yield from judge_of(kind).problems(about)
