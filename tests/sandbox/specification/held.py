"""Comparison of a whole journal with the specification: requests, responses and events."""

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox import calls
from sandbox.errors import StripeError
from tests.sandbox.specification.answers import answer_problems, event_problems
from tests.sandbox.specification.requests import request_problems

Entry = Mapping[str, Any]
MOST_TOLD = 20


def hold(journal: Iterable[Entry], events: Iterable[Entry]) -> None:
    """Fail with all deviations from Stripe's specification, each kind once."""
    found = [*(f"{sent}: {one}" for sent, one in of_calls(journal)), *of_events(events)]
    told = list(dict.fromkeys(found))
    assert not told, "unlike Stripe's specification:\n" + "\n".join(told[:MOST_TOLD])


def of_calls(journal: Iterable[Entry]) -> Iterable[tuple[str, str]]:
    for entry in journal:
        try:
            call, _ = calls.find_call(entry["method"], entry["path"])
        except StripeError:
            yield f"{entry['method']} {entry['path']}", "the double has no such call"
            continue
        name = f"{call.method} {call.path}"
        for one in request_problems(call, entry):
            yield f"request of {name}", one
        for one in answer_problems(call, entry["status"], entry["answer"]):
            yield f"answer {entry['status']} of {name}", one


def of_events(events: Iterable[Entry]) -> Iterable[str]:
    for event in events:
        for one in event_problems(event):
            yield f"event {event.get('type')}: {one}"
